package route

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load posts without pause until stop is closed, and counts what is not answered as it should be.
type load struct {
	stop     chan struct{}
	wg       sync.WaitGroup
	sent     atomic.Int64
	mu       sync.Mutex
	failures []string
}

func (l *load) fail(format string, a ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, fmt.Sprintf(format, a...))
}

func startLoad(t testing.TB, addr string, clients int) *load {
	l := &load{stop: make(chan struct{})}
	c := newClient(t)
	for i := range clients {
		l.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				body := fmt.Sprintf("order %d of %d", n, i)
				resp, err := c.Post("http://"+addr+"/orders", "text/plain", strings.NewReader(body))
				if err != nil {
					l.fail("%v", err)
					continue
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if want := "POST /orders " + body; err != nil || resp.StatusCode != 200 || string(b) != want {
					l.fail("%s %q, %v", resp.Status, b, err)
				}
				l.sent.Add(1)
			}
		})
	}
	return l
}

// end stops it and says what failed.
func (l *load) end(t testing.TB) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	t.Logf("%d requests", l.sent.Load())
	if n := len(l.failures); n > 0 {
		t.Errorf("%d of %d requests failed, the first with %s", n, l.sent.Load(), l.failures[0])
	}
}

// kill ends an instance as kill -9 would: every connection is cut.
func (i *instance) kill() {
	i.Listener.Close()
	i.CloseClientConnections()
}

// TestSwitch changes the instance again and again while callers post, and kills the old one when its drain returns.
func TestSwitch(t *testing.T) {
	r := newRouter(t, Options{})
	make := func(n int) *instance { return newInstance(t, fmt.Sprint(n), nil) }
	last := make(0)
	addr := apply(t, r, one(HTTP, []Arm{armOf("0", 0, last.Endpoint)}))
	l := startLoad(t, addr, 8)
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	for n := 1; n <= rounds; n++ {
		until(t, "requests", func() bool { return requests(r, fmt.Sprint(n-1), "2xx") > 20 })
		next := make(n)
		apply(t, r, one(HTTP, []Arm{armOf(fmt.Sprint(n), 0, next.Endpoint)}))
		if cut, err := r.Drain(t.Context(), last.ID); cut != 0 || err != nil {
			t.Fatalf("%d were cut off, %v", cut, err)
		}
		last.kill()
		last = next
	}
	l.end(t)
	if len(r.endpoints) != 1 || len(r.arms) != 1 {
		t.Errorf("%d endpoints and %d versions are still known", len(r.endpoints), len(r.arms))
	}
}

// TestHandOver gives the listeners to another router while callers post, twice.
func TestHandOver(t *testing.T) {
	for _, protocol := range []Protocol{HTTP, HTTP2} {
		t.Run(string(protocol), func(t *testing.T) {
			i := newInstance(t, "1", nil)
			table := one(protocol, []Arm{armOf("1", 0, i.Endpoint)})
			r := newRouter(t, Options{})
			addr := apply(t, r, table)
			l := startLoad(t, addr, 8)
			for range 3 {
				until(t, "requests", func() bool { return requests(r, "1", "2xx") > 200 })
				files, err := r.Files()
				if err != nil {
					t.Fatal(err)
				}
				next := newRouter(t, Options{Inherited: files})
				table.Listeners[0].Address = addr
				if got := apply(t, next, table); got != addr {
					t.Fatalf("the next router listens at %s", got)
				}
				for _, f := range files {
					_ = f.Close()
				}
				// What has kept its connection all the time hears of it with its next answer.
				ctx, cancel := context.WithTimeout(t.Context(), soon)
				if err := r.Linger(ctx, 2*time.Second); err != nil || ctx.Err() != nil {
					t.Errorf("%v, %v", err, ctx.Err())
				}
				cancel()
				if err := r.Apply(table); err == nil {
					t.Error("a router that has handed over takes a table")
				}
				r = next
			}
			l.end(t)
		})
	}
}

// TestTables changes listeners, and refuses what cannot be without any change.
func TestTables(t *testing.T) {
	r := newRouter(t, Options{})
	i := newInstance(t, "1", nil)
	table := one(HTTP, []Arm{armOf("1", 0, i.Endpoint)})
	addr := apply(t, r, table)
	c := newClient(t)
	alive := func() {
		t.Helper()
		if resp, _ := get(t, c, "http://"+addr); resp.StatusCode != 200 {
			t.Errorf("answered %s", resp.Status)
		}
	}
	alive()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := table
	bad.Listeners = append(bad.Listeners[:1:1], Listener{Name: "a", Address: "127.0.0.1:0", Protocol: TCP, Routes: []Route{{Service: "shop"}}},
		Listener{Name: "b", Address: taken.Addr().String(), Protocol: TCP, Routes: []Route{{Service: "shop"}}})
	if err := r.Apply(bad); err == nil || len(r.Addresses()) != 1 {
		t.Errorf("with a port that is taken: %v, and there are %v", err, r.Addresses())
	}
	alive()
	// An endpoint's name does not move while somebody is there.
	other := newInstance(t, "1", nil)
	e := r.table.Load().endpoints[i.ID]
	e.claim()
	moved := one(HTTP, []Arm{armOf("1", 0, Endpoint{i.ID, other.Address})})
	if err := r.Apply(moved); err == nil || !strings.Contains(err.Error(), "not drained") {
		t.Errorf("an endpoint moved under a request: %v", err)
	}
	e.release()
	alive()
	if err := r.Apply(moved); err != nil {
		t.Error(err)
	}
	alive()
	if err := r.Apply(Table{}); err != nil || len(r.Addresses()) != 0 {
		t.Errorf("with an empty table: %v, %v", err, r.Addresses())
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("it still listens")
	}
	if files, err := r.Files(); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
	inherited, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	odd := newRouter(t, Options{Inherited: map[string]*os.File{"front": inherited}})
	apply(t, odd, table) // what is no listener is not used
}

// TestReturn puts an endpoint back into the table while it drains.
func TestReturn(t *testing.T) {
	r := newRouter(t, Options{})
	hold := make(chan struct{})
	arrived := make(chan struct{}, 1)
	i := newInstance(t, "1", func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/hold" {
			arrived <- struct{}{}
			<-hold
		}
	})
	table := one(HTTP, []Arm{armOf("1", 0, i.Endpoint)})
	addr := apply(t, r, table)
	done := make(chan int, 1)
	go func() {
		resp, _ := get(t, newClient(t), "http://"+addr+"/hold")
		done <- resp.StatusCode
	}()
	<-arrived
	apply(t, r, one(HTTP, []Arm{armOf("1", 0)}))
	drained := make(chan error, 1)
	ctx, over := context.WithCancel(t.Context())
	go func() {
		n, err := r.Drain(ctx, i.ID)
		if n != 0 {
			err = fmt.Errorf("%d were cut off", n)
		}
		drained <- err
	}()
	apply(t, r, table)
	over() // the time for draining ends when it is back: nobody is cut off
	if err := <-drained; err == nil || !strings.Contains(err.Error(), "routing table") {
		t.Errorf("the drain ended with %v", err)
	}
	if resp, _ := get(t, newClient(t), "http://"+addr); resp.StatusCode != 200 {
		t.Errorf("answered %s", resp.Status)
	}
	close(hold)
	if status := <-done; status != 200 {
		t.Errorf("who was there was answered %d", status)
	}
}
