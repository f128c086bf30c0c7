package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gantry-ops/gantry/agent/route"
)

// The router's measurement: the agent's router, and those that Debian has, one after the other before the same back end, on the same cores.
const (
	// routerConnections are wrk's, by two threads.
	routerConnections = 64
	routerSeconds     = 4
	// pingers are TCP connections that each send a message and wait for its echo.
	pingers  = 16
	pingSize = 128
	pings    = 4000
	// streams are TCP connections that each carry so many bytes one way.
	streams     = 4
	streamBytes = 512 << 20
	// gigabit is how many bytes a second all paced streams carry together, pacedBytes how many each.
	gigabit    = 125_000_000
	pacedBytes = 64 << 20
)

// part is a hidden first argument by which the benchmark starts itself as another process, so that its CPU is counted apart.
type part string

const (
	partBackend part = "-part-backend"
	partRouter  part = "-part-router"
)

// playPart serves until a signal when the process was started for it.
func playPart(args []string) (played bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch part(args[0]) {
	case partBackend:
		return true, backend(ctx, os.Stdout)
	case partRouter:
		if len(args) != 3 {
			return true, errors.New("the router needs two addresses")
		}
		return true, routerPart(ctx, args[1], args[2], os.Stdout)
	}
	return false, nil
}

// backend answers HTTP and echoes TCP, and prints the two addresses.
func backend(ctx context.Context, out io.Writer) error {
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	body := bytes.Repeat([]byte("x"), 256)
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Header()["Date"] = nil
		_, _ = w.Write(body)
	})}
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go echoOrCount(c)
		}
	}()
	fmt.Fprintln(out, web.Addr(), echo.Addr())
	go func() {
		<-ctx.Done()
		_ = s.Close()
		_ = echo.Close()
	}()
	if err := s.Serve(web); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// The first byte of a TCP connection says what the back end does with the others.
const (
	toEcho  = 'e'
	toCount = 'c'
)

// echoOrCount sends back what it gets, or reads all of it and then says how much that was.
func echoOrCount(c net.Conn) {
	defer c.Close()
	kind := make([]byte, 1)
	if _, err := io.ReadFull(c, kind); err != nil {
		return
	}
	// Who has gone away meanwhile notices the error on its own side.
	if kind[0] == toEcho {
		_, _ = io.Copy(c, c)
		return
	}
	n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
	fmt.Fprintln(c, n)
}

// routerPart is the agent's router before one back end, and prints where it listens.
func routerPart(ctx context.Context, web, echo string, out io.Writer) error {
	r, err := route.New(route.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	arm := func(address string) []route.Arm {
		return []route.Arm{{Version: "one", Endpoints: []route.Endpoint{{ID: address, Address: address}}}}
	}
	err = r.Apply(route.Table{
		Listeners: []route.Listener{
			{Name: "web", Address: "127.0.0.1:0", Protocol: route.HTTP, Routes: []route.Route{{Service: "web"}}},
			{Name: "echo", Address: "127.0.0.1:0", Protocol: route.TCP, Routes: []route.Route{{Service: "echo"}}},
		},
		Services: []route.Service{{Name: "web", Arms: arm(web)}, {Name: "echo", Arms: arm(echo)}},
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, r.Addresses()["web"], r.Addresses()["echo"])
	<-ctx.Done()
	return nil
}

// stage is a process in a group of its own, whose CPU can be read and which can be ended with all its children.
type stage struct {
	cmd   *exec.Cmd
	lines *bufio.Reader
	ended chan struct{}
}

func startStage(ctx context.Context, log io.Writer, name string, args ...string) (*stage, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &stage{cmd: cmd, lines: bufio.NewReader(out), ended: make(chan struct{})}, nil
}

// addresses reads a line of two addresses.
func (s *stage) addresses() (web, echo string, err error) {
	line, err := s.lines.ReadString('\n')
	if err != nil {
		return "", "", fmt.Errorf("a part of the benchmark did not start: %w", err)
	}
	web, echo, _ = strings.Cut(strings.TrimSpace(line), " ")
	return web, echo, nil
}

func (s *stage) stop() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	_ = s.cmd.Wait() // that it was killed is no news
}

// cpu is what all processes of the group have used so far.
func (s *stage) cpu() (time.Duration, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, ok := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		if !ok || len(f) < 13 || f[2] != strconv.Itoa(s.cmd.Process.Pid) {
			continue
		}
		for _, n := range []int{11, 12} { // utime and stime, in hundredths of a second
			v, err := strconv.ParseInt(f[n], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			ticks += v
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// proxy is a contender: how it is configured to listen at one address and to ask another. Connections to the back end are kept, logs are off.
type proxy struct {
	name, program string
	config        func(listen, backend, dir string) string
	args          func(file, dir string) []string
}

var proxies = []proxy{
	{"haproxy", "haproxy", func(listen, backend, _ string) string {
		return "global\n  maxconn 4096\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  http-reuse always\n" +
			"frontend f\n  bind " + listen + "\n  default_backend b\nbackend b\n  server s " + backend + "\n"
	}, func(file, _ string) []string { return []string{"-f", file, "-db"} }},
	{"nginx", "nginx", func(listen, backend, dir string) string {
		return "daemon off;\nworker_processes auto;\npid " + dir + "/nginx.pid;\nerror_log stderr crit;\nevents { worker_connections 4096; }\n" +
			"http {\n  access_log off;\n  client_body_temp_path " + dir + "/t1;\n  proxy_temp_path " + dir + "/t2;\n  fastcgi_temp_path " + dir + "/t3;\n  uwsgi_temp_path " + dir + "/t4;\n  scgi_temp_path " + dir + "/t5;\n" +
			"  keepalive_requests 100000000;\n  upstream b { server " + backend + "; keepalive 128; keepalive_requests 100000000; }\n" +
			"  server { listen " + listen + "; location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection \"\"; } }\n}\n"
	}, func(file, dir string) []string { return []string{"-p", dir, "-c", file} }},
	{"caddy", "caddy", func(listen, backend, _ string) string {
		return "{\n  admin off\n  auto_https off\n  log {\n    level ERROR\n  }\n}\nhttp://" + listen + " {\n  reverse_proxy " + backend + "\n}\n"
	}, func(file, _ string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} }},
}

// free is an address that nobody has just now.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// answered waits until somebody answers at an address.
func answered(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(r); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody answers at %s: %w", address, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// wrkResult is what wrk says, and what the proxy has used meanwhile.
type wrkResult struct {
	rate     float64
	p50, p99 time.Duration
	cpu      time.Duration
}

// pull has wrk ask an address, and counts the CPU of who answers.
func pull(ctx context.Context, wrk, address string, s *stage) (wrkResult, error) {
	before, err := s.cpu()
	if err != nil {
		return wrkResult{}, err
	}
	out, err := exec.CommandContext(ctx, wrk, "-t2", fmt.Sprintf("-c%d", routerConnections), fmt.Sprintf("-d%ds", routerSeconds), "--latency", "http://"+address+"/").CombinedOutput()
	if err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	after, err := s.cpu()
	if err != nil {
		return wrkResult{}, err
	}
	r, requests, err := readWrk(string(out))
	if err != nil {
		return wrkResult{}, err
	}
	r.cpu = (after - before) / time.Duration(requests)
	return r, nil
}

// readWrk reads wrk's report. An answer that was not good makes it an error.
func readWrk(text string) (r wrkResult, requests int64, err error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case strings.Contains(line, "Non-2xx") || strings.Contains(line, "Socket errors"):
			return r, 0, fmt.Errorf("wrk: %s", strings.TrimSpace(line))
		case len(f) == 2 && f[0] == "50%":
			r.p50, err = readWrkTime(f[1])
		case len(f) == 2 && f[0] == "99%":
			r.p99, err = readWrkTime(f[1])
		case len(f) > 2 && f[1] == "requests" && f[2] == "in":
			requests, err = strconv.ParseInt(f[0], 10, 64)
		case len(f) == 2 && f[0] == "Requests/sec:":
			r.rate, err = strconv.ParseFloat(f[1], 64)
		}
		if err != nil {
			return r, 0, fmt.Errorf("wrk: %q: %w", strings.TrimSpace(line), err)
		}
	}
	if r.rate == 0 || requests == 0 || r.p99 == 0 {
		return r, 0, fmt.Errorf("wrk's report cannot be read: %s", text)
	}
	return r, requests, nil
}

// readWrkTime reads "1.23ms", "456.00us", "2.00s".
func readWrkTime(s string) (time.Duration, error) { return time.ParseDuration(s) }

// routers measures requests and bytes through the agent's router, beside those of others that are on the machine.
func routers(ctx context.Context, b *bench) ([]Figure, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(b.dir, "router.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	back, err := startStage(ctx, log, self, string(partBackend))
	if err != nil {
		return nil, err
	}
	defer back.stop()
	web, echo, err := back.addresses()
	if err != nil {
		return nil, err
	}
	ours, err := startStage(ctx, log, self, string(partRouter), web, echo)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	ourWeb, ourEcho, err := ours.addresses()
	if err != nil {
		return nil, err
	}
	figures, err := b.tcpThrough(echo, ourEcho)
	if err != nil {
		return nil, err
	}
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		fmt.Fprintln(b.progress, "router     skipped: wrk is not on PATH (Debian's package has it)")
		return figures, nil
	}
	more, err := b.httpThrough(ctx, wrk, log, back, web, ours, ourWeb)
	return append(more, figures...), err
}

// httpThrough compares requests: all in turn, b.repeat times.
func (b *bench) httpThrough(ctx context.Context, wrk string, log io.Writer, back *stage, web string, ours *stage, ourWeb string) ([]Figure, error) {
	type running struct {
		name, address string
		stage         *stage
	}
	all := []running{{"floor", web, back}, {"gantry", ourWeb, ours}}
	for _, p := range proxies {
		program, err := exec.LookPath(p.program)
		if err != nil {
			fmt.Fprintf(b.progress, "router     without %s, which is not on PATH\n", p.name)
			continue
		}
		dir := filepath.Join(b.dir, p.name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		listen, err := free()
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "config")
		if err := os.WriteFile(file, []byte(p.config(listen, web, dir)), 0o644); err != nil {
			return nil, err
		}
		s, err := startStage(ctx, log, program, p.args(file, dir)...)
		if err != nil {
			return nil, err
		}
		defer s.stop()
		all = append(all, running{p.name, listen, s})
	}
	measured := map[string][]wrkResult{}
	for _, r := range all {
		if err := answered(ctx, r.address); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	for round := range b.repeat + 1 {
		for _, r := range all {
			fmt.Fprintf(b.progress, "%-10s %-8s %d/%d\n", "router", r.name, round, b.repeat)
			got, err := pull(ctx, wrk, r.address, r.stage)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			if round > 0 {
				measured[r.name] = append(measured[r.name], got)
			}
		}
	}
	rate := Figure{Name: fmt.Sprintf("requests by %d connections; the floor is without a router", routerConnections), Unit: "/s"}
	half := Figure{Name: "half of them within", Unit: "ms"}
	slow := Figure{Name: "99 % of them within", Unit: "ms"}
	cpu := Figure{Name: "the router's CPU for one; the floor's is the back end's", Unit: "µs"}
	for name, list := range measured {
		rate.set(name, median(list, func(r wrkResult) float64 { return r.rate }))
		half.set(name, milliseconds(median(list, func(r wrkResult) time.Duration { return r.p50 })))
		slow.set(name, milliseconds(median(list, func(r wrkResult) time.Duration { return r.p99 })))
		cpu.set(name, float64(median(list, func(r wrkResult) time.Duration { return r.cpu }))/float64(time.Microsecond))
	}
	figures := []Figure{rate, half, slow, cpu}
	if caddy, ok := rate.Values["caddy"]; ok {
		f := Figure{Name: "Caddy's requests/s as a share of ours", Unit: "%", Budget: &Budget{Limit: 50, Of: "value"}}
		f.set("gantry", 100*caddy/rate.Values["gantry"])
		figures = append(figures, f)
	}
	return figures, nil
}

// tcpThrough compares messages with their echoes, and streams, direct and through the router.
func (b *bench) tcpThrough(direct, routed string) ([]Figure, error) {
	ping, err := b.both(direct, routed, ping)
	if err != nil {
		return nil, err
	}
	ping.Name, ping.Unit = fmt.Sprintf("%d TCP sessions: a message of %d bytes and its echo", pingers, pingSize), "ms"
	bytes, err := b.both(direct, routed, stream)
	if err != nil {
		return nil, err
	}
	bytes.Name, bytes.Unit = fmt.Sprintf("%d TCP sessions: %d MiB one way, as fast as the cores are", streams, streams*streamBytes>>20), "ms"
	link, err := b.both(direct, routed, paced)
	if err != nil {
		return nil, err
	}
	link.Name, link.Unit, link.Budget = fmt.Sprintf("%d TCP sessions: %d MiB one way, at a gigabit's pace", streams, streams*pacedBytes>>20), "ms", &Budget{Limit: 1.1, Of: "ratio"}
	return []Figure{ping, bytes, link}, nil
}

// both measures two addresses in turn.
func (b *bench) both(direct, routed string, measure func(address string) (time.Duration, error)) (Figure, error) {
	var without, with []time.Duration
	for round := range b.repeat + 1 {
		fmt.Fprintf(b.progress, "%-10s %-8s %d/%d\n", "router", "tcp", round, b.repeat)
		d, err := measure(direct)
		if err != nil {
			return Figure{}, err
		}
		r, err := measure(routed)
		if err != nil {
			return Figure{}, err
		}
		if round > 0 {
			without, with = append(without, d), append(with, r)
		}
	}
	plain := func(d time.Duration) time.Duration { return d }
	var f Figure
	f.set("floor", milliseconds(median(without, plain)))
	f.set("gantry", milliseconds(median(with, plain)))
	return f, nil
}

// sessions runs something on several connections at once, and returns how long all of it took.
func sessions(address string, n int, kind byte, do func(net.Conn) error) (time.Duration, error) {
	var wg sync.WaitGroup
	errs := make(chan error, n)
	start := time.Now()
	for range n {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				errs <- err
				return
			}
			defer c.Close()
			if _, err := c.Write([]byte{kind}); err != nil {
				errs <- err
				return
			}
			if err := do(c); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return 0, fmt.Errorf("%s: %w", address, err)
	}
	return time.Since(start), nil
}

// stream is the time that many bytes take over several sessions. Both ends and the router share the cores.
func stream(address string) (time.Duration, error) { return send(address, streamBytes, 0) }

// paced is the same where the link is what bounds it.
func paced(address string) (time.Duration, error) {
	return send(address, pacedBytes, gigabit/streams)
}

// send sends bytes over each of several sessions, at most so many a second over each; 0: as they go.
func send(address string, total, pace int) (time.Duration, error) {
	block := make([]byte, 256<<10)
	return sessions(address, streams, toCount, func(c net.Conn) error {
		start := time.Now()
		for n := range total / len(block) {
			if pace > 0 {
				time.Sleep(time.Until(start.Add(time.Duration(n*len(block)) * time.Second / time.Duration(pace))))
			}
			if _, err := c.Write(block); err != nil {
				return err
			}
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			return err
		}
		var n int
		if _, err := fmt.Fscan(c, &n); err != nil || n != total {
			return fmt.Errorf("%d bytes arrived of %d: %w", n, total, err)
		}
		return nil
	})
}

// ping is the time of a message and its echo over many sessions at once, the mean.
func ping(address string) (time.Duration, error) {
	took, err := sessions(address, pingers, toEcho, func(c net.Conn) error {
		buf := make([]byte, pingSize)
		for range pings {
			if _, err := c.Write(buf); err != nil {
				return err
			}
			if _, err := io.ReadFull(c, buf); err != nil {
				return err
			}
		}
		return nil
	})
	return took / pings, err
}
