//go:build linux

package fleet

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// modeEnv tells the test binary to be a workload.
const modeEnv = "GANTRY_TEST_WORKLOAD"

func TestMain(m *testing.M) {
	if os.Getenv(modeEnv) != "" {
		beWorkload()
		return
	}
	os.Exit(m.Run())
}

// beWorkload serves HTTP until TERM, and says which version it is. One whose configuration says so ends at once.
func beWorkload() {
	if os.Getenv("BROKEN") != "" {
		fmt.Println("cannot open the ledger")
		os.Exit(3)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getenv("GANTRY_VERSION"), os.Getenv("KEY"))
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

// artifactOf is a candidate whose program is the test binary; builds differ by a file.
func artifactOf(t *testing.T, build string) (string, []byte) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, body := range map[string]string{"web": "#!/bin/sh\nexec \"$SELF\"\n", "build": build} {
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(body)), Typeflag: tar.TypeReg}), second(io.WriteString(w, body))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(b.Bytes())), b.Bytes()
}

func second[T any](_ T, err error) error { return err }

// host has a host join by a real agent, and be what it shall until the test ends.
func (h *home) host(t *testing.T, base, name string, labels map[string]string) {
	t.Helper()
	stop := h.agent(t, base, name, t.TempDir(), token(t, h, TokenRequest{Name: name, Labels: labels}).Token)
	t.Cleanup(stop)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if a, err := h.Agent(t.Context(), name); err == nil && a.State == StateOnline {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the agent %s has not come", name)
		}
	}
}

// agent runs one. stop ends it, and what it runs.
func (h *home) agent(t *testing.T, base, name, dir, token string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	options := agent.Options{Dir: dir, Process: process.Options{Cgroup: "off"}}
	go func() {
		ended <- link.Run(ctx, link.Options{Dir: dir, Server: base, Token: token, Name: name, Now: h.clock.now, Open: func(ctx context.Context, s agent.Source, r link.Registry) (*agent.Host, error) {
			o := options
			o.Source, o.Registry = s, r
			return agent.Open(ctx, o)
		}})
	}()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		end, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		options.Source = empty{}
		left, err := agent.Open(end, options)
		if err == nil {
			err = left.Shutdown(end)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
}

// empty has no candidates.
type empty struct{}

func (empty) Fetch(context.Context, string) (io.ReadCloser, error) {
	return nil, errors.New("there are no candidates")
}

// TestEndToEnd takes real processes on two real hosts through rollouts, driven by room release, while somebody calls them: a first version, a second one
// by canary, and one that is broken and goes back. No request fails.
func TestEndToEnd(t *testing.T) {
	db := storetest.Open(t)
	c := newClock()
	c.run()
	h := openAt(t, db, c, t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h.shelf.secrets["KEY"] = " and a secret"
	address := freeAddress(t)
	file := func(extra string) string {
		return fmt.Sprintf(`
services:
  web:
    command: [./web]
    environment: {SELF: %q, %s: "1"%s}
    secrets: [KEY]
    instances: 2
    drain: 5s
    health: {http: /, interval: 100ms, min-healthy: 0s, passes: 1}
    ports: {http: {listen: %q}}
environments:
  - name: production
    regions: [eu]
    targets: [{labels: {region: eu}}]
`, self, modeEnv, extra, address)
	}
	candidate := func(build, extra string) release.Candidate {
		c := h.shelf.put(t, "shop", file(extra), "production", "web", 0)
		digest, b := artifactOf(t, build)
		h.shelf.mu.Lock()
		defer h.shelf.mu.Unlock()
		h.shelf.artifacts[digest] = b
		c.Artifact = digest
		return c
	}
	base := h.serve(t)
	h.host(t, base, "eu-1", map[string]string{"region": "eu"})

	e, err := engine.New(t.Context(), db, engine.Options{Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	e.Handle(kindAgents, 1, h.lookAfter)
	releases, err := release.NewService(t.Context(), release.Options{DB: db, Engine: e, Target: h, Task: h, Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	roll := func(c release.Candidate) release.Record {
		r, err := releases.Begin(t.Context(), release.Request{Actor: "account:ann", Place: shopWeb, Candidate: c, Waves: [][]string{{"eu"}}, Strategy: release.Strategy{
			Kind: release.Canary, Instances: 2, Steps: []release.CanaryStep{{Weight: 2000, Requests: 20}}, Start: 2 * time.Minute,
		}})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the rollout ends", func() bool {
			r, err = releases.Get(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			return r.State.Phase.Ended()
		})
		return r
	}
	a := candidate("1", "")
	if r := roll(a); r.State.Phase != release.Succeeded {
		t.Fatalf("%s: %s", r.State.Phase, r.State.Reason)
	}
	// Who calls from now on is always answered.
	var calls, wrong atomic.Int64
	versions := sync.Map{}
	var callers sync.WaitGroup
	call, stop := context.WithCancel(t.Context())
	defer stop()
	for range 4 {
		callers.Go(func() {
			client := &http.Client{Timeout: time.Minute}
			defer client.CloseIdleConnections()
			for call.Err() == nil {
				res, err := client.Post("http://"+address+"/", "text/plain", nil)
				if err != nil {
					wrong.Add(1)
					t.Logf("a request: %v", err)
					continue
				}
				b, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || !bytes.HasSuffix(b, []byte(" and a secret")) {
					wrong.Add(1)
				}
				versions.Store(string(b), true)
				calls.Add(1)
			}
		})
	}
	b := candidate("2", "")
	if r := roll(b); r.State.Phase != release.Succeeded {
		t.Fatalf("%s: %s", r.State.Phase, r.State.Reason)
	}
	broken := candidate("3", `, BROKEN: "1"`)
	if r := roll(broken); r.State.Phase != release.RolledBack {
		t.Errorf("%s: %s", r.State.Phase, r.State.Reason)
	} else {
		t.Log(r.State.Cause)
	}
	stop()
	callers.Wait()
	if wrong.Load() > 0 || calls.Load() == 0 {
		t.Errorf("%d of %d requests failed", wrong.Load(), calls.Load())
	}
	for _, c := range []release.Candidate{a, b} {
		if _, ok := versions.Load(c.Version() + " and a secret"); !ok {
			t.Errorf("the version %s has answered nobody", c.Version())
		}
	}
	placed, err := h.Placed(t.Context(), "shop")
	if err != nil || len(placed) != 1 || len(placed[0].Versions) != 1 || placed[0].Versions[0].Version != b.Version() || placed[0].Versions[0].Healthy != 2 {
		t.Errorf("%+v %v", placed, err)
	}
	if list, err := db.Events(t.Context(), store.EventQuery{Types: []string{"agent.refused"}}); err != nil || len(list) > 0 {
		t.Errorf("%+v %v", list, err)
	}
}

// freeAddress is one below those that the kernel hands out by itself, so that nobody gets it by chance.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(18000))
		if ln, err := net.Listen("tcp", address); err == nil {
			_ = ln.Close()
			return address
		}
	}
	t.Fatal("no address is free")
	return ""
}
