//go:build linux

package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/agent/route"
)

// modeEnv tells the test binary to be a workload.
const modeEnv = "GANTRY_TEST_WORKLOAD"

const soon = 2 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(modeEnv) != "" {
		beWorkload()
		return
	}
	os.Exit(m.Run())
}

// beWorkload serves HTTP until TERM: it says which version and process it is, and repeats what it is sent. A file named "ill" in the folder ILL
// makes its check fail.
func beWorkload() {
	ln, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/healthz" {
			if _, err := os.Stat(filepath.Join(os.Getenv("ILL"), "ill-"+os.Getenv("VERSION"))); err == nil {
				http.Error(w, "ill", http.StatusServiceUnavailable)
			}
			return
		}
		if req.URL.Path == "/crash" {
			os.Exit(3)
		}
		b, _ := io.ReadAll(req.Body)
		w.Header().Set("Version", os.Getenv("VERSION"))
		w.Header().Set("Pid", fmt.Sprint(os.Getpid()))
		fmt.Fprintf(w, "%s %s", b, os.Getenv("TOKEN"))
	})}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	done := make(chan error)
	go func() {
		<-term
		done <- s.Shutdown(context.Background())
	}()
	_ = s.Serve(ln)
	<-done
}

// source has candidates in memory.
type source struct {
	mu      sync.Mutex
	all     map[string][]byte
	fetched int
	fail    error
}

func (s *source) Fetch(_ context.Context, digest string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched++
	if s.fail != nil {
		return nil, s.fail
	}
	b, ok := s.all[digest]
	if !ok {
		return nil, errors.New("there is no such candidate")
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// candidate makes one that runs the test binary, and gives its digest.
func (s *source) candidate(t testing.TB, version string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	script := "#!/bin/sh\n# version " + version + "\nexec \"$BINARY\"\n"
	if err := w.WriteHeader(&tar.Header{Name: "run", Mode: 0o755, Size: int64(len(script)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, script)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(b.Bytes()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string][]byte{}
	}
	s.all[digest] = b.Bytes()
	return digest
}

// world is a host with its agent.
type world struct {
	t   testing.TB
	dir string
	ill string
	src *source
	h   *Host
	// ended gives what Run or HandOver returned.
	ended chan error
	stop  context.CancelFunc
	next  int64
	addr  string
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir(), ill: t.TempDir(), src: &source{}}
	t.Cleanup(func() {
		w.halt()
		h, err := Open(context.Background(), w.options())
		if err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) options() Options {
	return Options{Dir: w.dir, Source: w.src, Linger: soon, Idle: 2 * time.Second, Process: process.Options{Backoff: process.Backoff{First: 10 * time.Millisecond, Most: 50 * time.Millisecond}}}
}

// run has a host do its work; hand says by HandOver.
func (w *world) run(h *Host) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	w.h, w.stop, w.ended = h, cancel, ended
	go func() { ended <- h.HandOver(ctx) }()
}

// start opens a host and has it do its work.
func (w *world) start() {
	w.t.Helper()
	h, err := Open(w.t.Context(), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.run(h)
}

// halt ends the agent and leaves the workloads running.
func (w *world) halt() {
	if w.h == nil {
		return
	}
	w.stop()
	<-w.ended
	if err := w.h.Close(); err != nil {
		w.t.Error(err)
	}
	w.h = nil
}

// want asks for a number of instances of each version, with weights in ten-thousandths for all but the first.
func (w *world) want(versions []string, instances []int, weights []int) Desired {
	w.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	w.next++
	if w.addr == "" {
		w.addr = "127.0.0.1:0"
	}
	d := Desired{Generation: w.next, Listeners: []route.Listener{{Name: "front", Address: w.addr, Protocol: route.HTTP, Routes: []route.Route{{Service: "shop"}}}}}
	s := Service{Service: route.Service{Name: "shop"}, Port: "http"}
	for n, v := range versions {
		weight := 0
		if n > 0 {
			weight = weights[n-1]
		}
		s.Arms = append(s.Arms, route.Arm{Version: v, Weight: weight})
		digest := w.src.candidate(w.t, v)
		for k := range instances[n] {
			d.Instances = append(d.Instances, Instance{
				Service: "shop", Version: v, Bundle: digest, Secrets: map[string]string{"TOKEN": "secret-" + v}, Drain: soon,
				Spec: process.Spec{
					ID: fmt.Sprintf("shop-%s-%d", v, k), Argv: []string{"./run"}, Ports: []string{"http"}, Stop: process.Stop{Grace: 5 * time.Second},
					Env:   map[string]string{"BINARY": binary, modeEnv: "1", "VERSION": v, "ILL": w.ill},
					Check: process.Check{Kind: process.CheckHTTP, Path: "/healthz", Interval: 20 * time.Millisecond, Passes: 1, MinHealthy: time.Millisecond, Failures: 1, Timeout: 30 * time.Second, StartWithin: soon},
				},
			})
		}
	}
	d.Services = []Service{s}
	return d
}

// apply asks for it and waits until the traffic is as it shall be, with the versions' shares.
func (w *world) apply(d Desired, shares map[string]int) {
	w.t.Helper()
	if err := w.h.Apply(d); err != nil {
		w.t.Fatal(err)
	}
	w.until(fmt.Sprintf("shares %v", shares), func(o Observed) bool {
		return o.Applied == d.Generation && fmt.Sprint(o.Weights["shop"]) == fmt.Sprint(shares)
	})
	if addr := w.h.Observe().Addresses["front"]; addr != w.addr {
		w.addr = addr // from the first time on it is asked for again
	}
}

// until waits for what is to be observed.
func (w *world) until(what string, ok func(Observed) bool) Observed {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(soon); ; {
		o := w.h.Observe()
		if ok(o) {
			return o
		}
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("it never came to %s: %+v", what, o)
		}
	}
}

// ask sends a request and says which version and process has answered.
func (w *world) ask(c *http.Client, path, body string) (version, pid, answer string, err error) {
	resp, err := c.Post("http://"+w.addr+path, "text/plain", strings.NewReader(body))
	if err != nil {
		return "", "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s %s", resp.Status, b)
	}
	return resp.Header.Get("Version"), resp.Header.Get("Pid"), string(b), err
}

// load posts until it is ended, and counts.
type load struct {
	stop  chan struct{}
	wg    sync.WaitGroup
	sent  atomic.Int64
	first atomic.Pointer[string]
	bad   atomic.Int64
}

func (w *world) load(clients int) *load {
	l := &load{stop: make(chan struct{})}
	tr := &http.Transport{MaxIdleConnsPerHost: clients}
	w.t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr, Timeout: soon}
	for i := range clients {
		l.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				body := fmt.Sprint(i, "-", n)
				version, _, answer, err := w.ask(c, "/", body)
				if err == nil && answer != body+" secret-"+version {
					err = fmt.Errorf("%q was answered %q by %s", body, answer, version)
				}
				if err != nil {
					text := err.Error()
					l.first.CompareAndSwap(nil, &text)
					l.bad.Add(1)
				}
				l.sent.Add(1)
			}
		})
	}
	return l
}

func (l *load) end(t testing.TB) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	t.Logf("%d requests", l.sent.Load())
	if p := l.first.Load(); p != nil {
		t.Errorf("%d of %d requests failed, the first with %s", l.bad.Load(), l.sent.Load(), *p)
	}
}
