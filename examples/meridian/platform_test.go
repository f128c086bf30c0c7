package meridian_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a service that runs.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	// addresses are where it listens, by the message that says so.
	addresses map[string]string
	logs      sync.WaitGroup
	mu        sync.Mutex
	log       bytes.Buffer
}

// start runs a service with these variables, and returns when it listens at so many addresses. name may have arguments.
func start(t *testing.T, name string, listens int, env ...string) *process {
	t.Helper()
	args := strings.Fields(name)
	p := &process{t: t, cmd: exec.Command(filepath.Join(binaries, args[0]), args[1:]...), addresses: map[string]string{}}
	p.cmd.Env = append(append(os.Environ(), "PORT=0", "PORT_FIX=0"), env...)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.logs.Wait()
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, &p.log)
		}
	})
	lines := bufio.NewReader(io.TeeReader(out, writerFunc(func(b []byte) (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.log.Write(b)
	})))
	for len(p.addresses) < listens {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("%s does not listen: %v\n%s", name, err, &p.log)
		}
		var said struct{ Msg, Address string }
		if json.Unmarshal(line, &said) == nil && said.Address != "" {
			p.addresses[said.Msg] = said.Address
		}
	}
	p.logs.Go(func() { _, _ = io.Copy(io.Discard, lines) })
	return p
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (p *process) url() string { return "http://" + p.addresses["listening"] }

// stop asks a service to end, and expects that it ends well.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	p.logs.Wait()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%s ended with %v", p.cmd.Path, err)
	}
}

// kill ends a service as a crash would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	p.logs.Wait()
	_ = p.cmd.Wait()
}

// accepted returns how many orders a gateway has accepted.
func accepted(t *testing.T, gateway *process) (n int) {
	t.Helper()
	res, err := http.Get(gateway.url() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), `meridian_orders_total{result="accepted"} %d`, &n)
	}
	return n
}

// result is what this test reads of load's summary.
type result struct {
	code                    int
	Sent, OK, Failed, Wrong int
	Accepted, Verified      int
	Versions                map[string]int
	Failures                []string
	Streams, FIX            struct{ Begun, Lost, Prices int }
}

// load runs the load generator.
func load(t *testing.T, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "load"), append(args, "-output", "json")...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s%s", err, out, &errs)
	}
	r.code = cmd.ProcessState.ExitCode()
	return r
}

// TestPlatform runs all of Meridian: two versions of gateway and ledger next to each other on one database, one of the
// ledgers killed under load; and the faults, which load has to find.
func TestPlatform(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the services; not with -short")
	}
	for _, b := range []struct{ dir, name, version string }{
		{"services/ledger", "ledger", "1"}, {"services/gateway", "gateway", "1"}, {"services/gateway", "gateway2", "2"},
		{"services/marketdata", "marketdata", "1"}, {"load", "load", "1"},
	} {
		if err := compile(b.dir, ".", b.name, b.version); err != nil {
			t.Fatal(err)
		}
	}
	database := "LEDGER_DB=" + filepath.Join(t.TempDir(), "books.db")
	migrate := exec.Command(filepath.Join(binaries, "ledger"), "migrate", "expand")
	migrate.Env = append(os.Environ(), database)
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	ledgers := []*process{start(t, "ledger", 1, database), start(t, "ledger", 1, database)}
	// The time that a slow machine takes to start a ledger anew must not be a failure.
	gateways := []*process{start(t, "gateway -ledger-deadline 2m", 1, "LEDGER_URL="+ledgers[0].url()), start(t, "gateway2", 1, "LEDGER_URL="+ledgers[1].url())}
	prices := start(t, "marketdata", 2)

	outer := t
	t.Run("one is killed", func(t *testing.T) {
		results := make([]result, 2)
		var wg sync.WaitGroup
		for i, gateway := range gateways {
			wg.Go(func() {
				args := []string{"-gateway", gateway.url(), "-ledger", ledgers[1].url(), "-rate", "60", "-duration", "0", "-requests", "150", "-timeout", "3m"}
				if i == 1 {
					args = append(args, "-marketdata", prices.url(), "-streams", "3", "-fix", prices.addresses["listening for FIX"], "-sessions", "3")
				}
				results[i] = load(t, args...)
			})
		}
		for deadline := time.Now().Add(2 * time.Minute); accepted(t, gateways[0]) < 20; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no orders come")
			}
		}
		at := ledgers[0].addresses["listening"]
		ledgers[0].kill()
		_, port, _ := strings.Cut(at, ":")
		ledgers[0] = start(outer, "ledger", 1, database, "PORT="+port)
		wg.Wait()
		for i, r := range results {
			if r.code != 0 || r.OK != 150 || r.Verified != r.Accepted || r.Accepted == 0 || r.Versions[fmt.Sprint(i+1)] == 0 {
				t.Errorf("gateway %d: %+v", i+1, r)
			}
		}
		if r := results[1]; r.Streams.Begun != 3 || r.FIX.Begun != 3 || r.Streams.Prices == 0 || r.FIX.Prices == 0 {
			t.Errorf("sessions: %+v", r)
		}
	})
	for _, fault := range []string{"errors:0.5", "wrong:0.5"} {
		t.Run(fault, func(t *testing.T) {
			bad := start(t, "gateway2", 1, "LEDGER_URL="+ledgers[0].url(), "FAULT="+fault)
			r := load(t, "-gateway", bad.url(), "-ledger", ledgers[0].url(), "-rate", "0", "-duration", "0", "-requests", "60", "-connections", "4")
			if found := map[string]int{"errors:0.5": r.Failed, "wrong:0.5": r.Wrong}[fault]; r.code != 1 || found < 5 || len(r.Failures) == 0 {
				t.Errorf("%+v", r)
			}
			bad.stop()
		})
	}
	for _, p := range append(append(gateways, ledgers...), prices) {
		p.stop()
	}
	check := exec.Command(filepath.Join(binaries, "ledger"), "check")
	check.Env = append(os.Environ(), database)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
}
