package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
)

// receiver is another side that can be made to fail.
type receiver struct {
	mu      sync.Mutex
	failing bool
	refused int
	got     map[float64]int
	header  http.Header
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.header = req.Header.Clone()
	if r.failing {
		r.refused++
		http.Error(w, "come back later", http.StatusServiceUnavailable)
		return
	}
	b, err := io.ReadAll(req.Body)
	if err == nil {
		b, err = snappy.Decode(nil, b)
	}
	var wr prompb.WriteRequest
	if err == nil {
		err = wr.Unmarshal(b)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, ts := range wr.Timeseries {
		for _, l := range ts.Labels {
			if l.Name == "__name__" && l.Value == "sent" {
				for _, s := range ts.Samples {
					r.got[s.Value]++
				}
			}
		}
	}
}

func (r *receiver) set(failing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = failing
}

func (r *receiver) counts() (refused, got int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused, len(r.got)
}

// TestRemoteWriteOut sends to who fails for a while, and loses nothing.
func TestRemoteWriteOut(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := &receiver{got: map[float64]int{}}
	server := httptest.NewServer(other)
	t.Cleanup(server.Close)
	s := opened(t, func(o *Options) {
		o.remoteDeadline = 20 * time.Millisecond
		o.RemoteWrites = []RemoteWrite{{Name: "elsewhere", URL: server.URL + "/push", Headers: map[string]string{"X-Scope-OrgID": "us"}, BearerTokenFile: token}}
	})
	next := 0
	write := func(n int) {
		for range n {
			kept(t, s, sample(time.Now(), float64(next), "__name__", "sent", "i", fmt.Sprint(next)))
			next++
		}
	}
	write(10)
	eventually(t, "the first samples arrive", func() bool { _, got := other.counts(); return got == next })
	other.mu.Lock()
	h := other.header
	other.mu.Unlock()
	if h.Get("Authorization") != "Bearer secret" || h.Get("X-Scope-OrgID") != "us" {
		t.Errorf("the headers are %v", h)
	}

	other.set(true)
	write(50)
	eventually(t, "it is tried again", func() bool { refused, _ := other.counts(); return refused > 2 })
	eventually(t, "the figures say so", func() bool {
		all, err := s.RemoteWrites()
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0].Retried > 0 && all[0].Pending > 0 && all[0].Name == "elsewhere"
	})
	other.set(false)
	write(10)
	eventually(t, "all samples arrive", func() bool { _, got := other.counts(); return got == next })
	eventually(t, "there is no lag", func() bool {
		all, err := s.RemoteWrites()
		return err == nil && all[0].Lag == 0 && all[0].Pending == 0 && all[0].Failed == 0 && all[0].Sent >= int64(next)
	})
}

// TestRemoteWriteBoth sends from one store to another, by each version of the protocol.
func TestRemoteWriteBoth(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			to := opened(t)
			address := mounted(t, to)
			from := opened(t, func(o *Options) {
				o.remoteDeadline = 20 * time.Millisecond
				o.ExternalLabels = map[string]string{"site": "north"}
				o.RemoteWrites = []RemoteWrite{{Name: "to", URL: address + "/api/v1/write", Version: version}}
			})
			if err := from.SetTargets([]Target{{Address: served(t, text("# TYPE x gauge\nx 3\n")), Service: "gateway", Interval: quick}}); err != nil {
				t.Fatal(err)
			}
			is(t, to, `x{site="north",service="gateway"}`, 3)
		})
	}
}
