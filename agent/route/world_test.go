package route

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

// soon is how long a test waits for what has to happen.
const soon = time.Minute

// newRouter makes a router that ends with the test.
func newRouter(t testing.TB, o Options) *Router {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// instance is a back end over HTTP that says which version it is.
type instance struct {
	Endpoint
	*httptest.Server
}

func newInstance(t testing.TB, version string, h http.HandlerFunc) *instance {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Version", version)
		if h != nil {
			h(w, req)
			return
		}
		b, err := io.ReadAll(req.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%s %s %s", req.Method, req.URL.RequestURI(), b)
	}))
	t.Cleanup(s.Close)
	return &instance{Endpoint{ID: version + "@" + s.Listener.Addr().String(), Address: s.Listener.Addr().String()}, s}
}

// one is a table of one service behind one listener; change completes it.
func one(protocol Protocol, arms []Arm, change ...func(*Table)) Table {
	t := Table{
		Listeners: []Listener{{Name: "front", Address: "127.0.0.1:0", Protocol: protocol, Routes: []Route{{Service: "shop"}}}},
		Services:  []Service{{Name: "shop", Arms: arms}},
	}
	for _, c := range change {
		c(&t)
	}
	return t
}

// arms makes versions of instances; the weights are of the second and further ones.
func armOf(version string, weight int, endpoints ...Endpoint) Arm {
	return Arm{Version: version, Weight: weight, Endpoints: endpoints}
}

// apply applies a table and gives the front's address.
func apply(t testing.TB, r *Router, table Table) string {
	t.Helper()
	if err := r.Apply(table); err != nil {
		t.Fatal(err)
	}
	return r.Addresses()["front"]
}

// client is one whose connections end with the test.
func newClient(t testing.TB, change ...func(*http.Transport)) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	for _, c := range change {
		c(tr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: soon}
}

// get asks once.
func get(t testing.TB, c *http.Client, url string, change ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// raw sends bytes on a connection of its own and reads what comes until the end or until enough says so.
func raw(t testing.TB, addr, send string, enough func(string) bool) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		b.Write(buf[:n])
		if err != nil || enough != nil && enough(b.String()) {
			return b.String()
		}
	}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never came to %s", what)
		}
	}
}

// requests is how many requests of a version ended with a class of status.
func requests(r *Router, version, code string) float64 {
	return testutil.ToFloat64(r.metrics.requests.WithLabelValues("shop", version, code))
}

// certified gives a TLS configuration that clients of pool trust for example.com and loopback.
func certified(t testing.TB) (*tls.Config, func(*http.Transport)) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	trust := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &tls.Config{Certificates: s.TLS.Certificates}, func(tr *http.Transport) {
		tr.TLSClientConfig = &tls.Config{RootCAs: trust, ServerName: "example.com"}
	}
}

// metric is a family of metrics.
type metric = dto.MetricFamily
