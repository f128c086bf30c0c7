package metrics

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// quick is how often targets of tests are scraped.
const quick = 100 * time.Millisecond

// served answers every request with what the function writes, and returns the address.
func served(t testing.TB, f func(w http.ResponseWriter, r *http.Request)) string {
	server := httptest.NewServer(http.HandlerFunc(f))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func text(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, body)
	}
}

// the returns the status of the only target.
func the(t testing.TB, s *Store) TargetStatus {
	t.Helper()
	all := s.Targets()
	if len(all) != 1 {
		t.Fatalf("%d targets: %+v", len(all), all)
	}
	return all[0]
}

// TestScrape scrapes a target with all that tells who it is, and one that says that it is somebody else.
func TestScrape(t *testing.T) {
	var requests atomic.Int64
	address := served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/m?a=b&c=d" && r.URL.RequestURI() != "/m?c=d&a=b" {
			t.Errorf("asked for %s", r.URL.RequestURI())
		}
		n := requests.Add(1)
		text(fmt.Sprintf("# TYPE requests_total counter\nrequests_total{code=\"200\"} %d\nimpostor{version=\"2\",job=\"other\"} 1 1000\n", n))(w, r)
	})
	s := opened(t)
	target := Target{
		Address: address, Path: "/m?a=b&c=d", Service: "gateway", Version: "1", Environment: "production", Region: "eu", Instance: "host-1/gateway",
		Labels: map[string]string{"track": "canary"}, Interval: quick,
	}
	if err := s.SetTargets([]Target{target}); err != nil {
		t.Fatal(err)
	}
	is(t, s, `count(requests_total{job="gateway",service="gateway",version="1",environment="production",region="eu",instance="host-1/gateway",track="canary",code="200"} > 1)`, 1)
	is(t, s, `impostor{version="1",exported_version="2",job="gateway",exported_job="other"}`, 1)
	is(t, s, `up{version="1"}`, 1)
	st := the(t, s)
	if st.Health != Up || st.Reason != "" || st.LastScrape.IsZero() || st.Address != address || st.Timeout != quick {
		t.Errorf("%+v", st)
	}

	t.Run("stays when another comes", func(t *testing.T) {
		before := requests.Load()
		second := target
		second.Version = "2"
		if err := s.SetTargets([]Target{second, target}); err != nil {
			t.Fatal(err)
		}
		is(t, s, `count(up{job="gateway"} == 1)`, 2)
		if r, err := s.Query(t.Context(), `changes(requests_total{version="1"}[1h])`, time.Now()); err != nil || len(r.Series) != 1 || requests.Load() <= before {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("ends when it is gone", func(t *testing.T) {
		if err := s.SetTargets(nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "its series end", func() bool { _, ok := value(t, s, "count(up)", time.Now()); return !ok })
		if got := s.Targets(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestBadTargets scrapes those who do what they should not, beside a good one, which must notice nothing.
func TestBadTargets(t *testing.T) {
	many := func(n int, label string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "series{%s=\"%d\"} 1\n", label, i)
		}
		return b.String()
	}
	tooMany := many(100_000, "i")
	var turn atomic.Int64
	var bomb bytes.Buffer
	gz := gzip.NewWriter(&bomb)
	if _, err := gz.Write(bytes.Repeat([]byte("# 0123456789\n"), 1<<18)); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) }) // Before the server of the target, which waits for its requests.
	nobody, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	stopped := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-hang:
		}
	}
	bad := []struct {
		name   string
		serve  func(http.ResponseWriter, *http.Request)
		reason string
		grows  bool
	}{
		{"100,000 series", text(tooMany), "sample limit exceeded: the answer has more than 1000 samples", false},
		{"other series every time", func(w http.ResponseWriter, r *http.Request) {
			text(many(900, fmt.Sprintf("turn=\"%d\",i", turn.Add(1))))(w, r)
		}, "series limit exceeded: the target has 2000 in memory", true},
		{"a long answer", text(strings.Repeat("# "+strings.Repeat("x", 1000)+"\n", 3000)), "body size limit exceeded: the answer has more than 2097152 bytes", false},
		{"a bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, "body size limit exceeded", false},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("\x01\x02\xff\xfe}{")) }, "expected", false},
		{"a web page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html><body>Welcome</body></html>")
		}, "expected", false},
		{"many labels", text("m{" + manyLabels(100) + "} 1\n"), "label_limit exceeded", false},
		{"a long name", text("m{" + strings.Repeat("n", 1000) + "=\"1\"} 1\n"), "label_name_length_limit exceeded", false},
		{"a long value", text("m{n=\"" + strings.Repeat("v", 10_000) + "\"} 1\n"), "label_value_length_limit exceeded", false},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }, "500", false},
		{"no answer", stopped, "did not answer in time", false},
		{"nobody there", nil, "refused", false},
	}
	s := opened(t, func(o *Options) { o.Limits = Limits{Samples: 1000, BodyBytes: 2 << 20, TargetSeries: 2000} })
	targets := []Target{{Address: served(t, text("good 1\n")), Service: "good", Interval: quick}}
	for _, b := range bad {
		address := closed
		if b.serve != nil {
			address = served(t, b.serve)
		}
		// Not more often: reading 100,000 series is slow under the race detector.
		interval := 20 * quick
		if b.grows {
			interval = 3 * quick
		}
		targets = append(targets, Target{Address: address, Service: b.name, Interval: interval})
	}
	if err := s.SetTargets(targets); err != nil {
		t.Fatal(err)
	}
	for _, b := range bad {
		t.Run(b.name, func(t *testing.T) {
			is(t, s, fmt.Sprintf("up{job=%q}", b.name), 0)
			var last TargetStatus
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("in the end it was %s: %s", last.Health, last.Reason)
				}
			})
			eventually(t, b.reason, func() bool {
				for _, st := range s.Targets() {
					if st.Service == b.name {
						last = st
					}
				}
				return last.Health == Down && strings.Contains(last.Reason, b.reason)
			})
			if b.grows {
				return // It was good until it had too many.
			}
			if n, ok := value(t, s, fmt.Sprintf(`count(last_over_time({job=%q,__name__!~"up|scrape_.*"}[1h]))`, b.name), time.Now()); ok {
				t.Errorf("%v series of it were kept", n)
			}
		})
	}
	is(t, s, `up{job="good"}`, 1)
	is(t, s, "good", 1)
	if n := s.Stats().Series; n > 6000 {
		t.Errorf("they left %d series in memory", n)
	}
}

func manyLabels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "l%d=\"1\",", i)
	}
	return b.String()
}

// TestEmpty scrapes targets that answer with nothing; what begins with a zero byte is nothing to Prometheus' parser.
func TestEmpty(t *testing.T) {
	for name, body := range map[string]string{"nothing": "", "comments": "# HELP x y\n", "a binary": "\x00\x01<html>}{"} {
		t.Run(name, func(t *testing.T) {
			s := opened(t)
			if err := s.SetTargets([]Target{{Address: served(t, text(body)), Interval: quick}}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is empty", func() bool { return the(t, s).Health == Empty })
			if got := the(t, s).Reason; !strings.Contains(got, "no samples") {
				t.Errorf("the reason is %q", got)
			}
		})
	}
}

// TestRefused sets targets that are wrong beside one that is right.
func TestRefused(t *testing.T) {
	s := opened(t)
	good := Target{Address: served(t, text("x 1\n")), Interval: quick}
	for _, tt := range []struct {
		name   string
		target Target
		want   string
	}{
		{"no port", Target{Address: "localhost"}, "not host:port"},
		{"port 0", Target{Address: "localhost:0"}, "between 1 and 65535"},
		{"no host", Target{Address: ":80"}, "no name or address of a host"},
		{"a path in the host", Target{Address: "a/b:80"}, "no name or address of a host"},
		{"scheme", Target{Address: "localhost:80", Scheme: "ftp"}, "neither http nor https"},
		{"path", Target{Address: "localhost:80", Path: "metrics"}, "does not begin with /"},
		{"interval", Target{Address: "localhost:80", Interval: time.Millisecond}, "interval 1ms"},
		{"timeout", Target{Address: "localhost:80", Timeout: -1}, "timeout"},
		{"a reserved label", Target{Address: "localhost:80", Labels: map[string]string{"__address__": "x"}}, "must not have"},
		{"a label of ours", Target{Address: "localhost:80", Labels: map[string]string{"version": "x"}}, "field of its own"},
		{"the same again", good, "another target has the same"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := s.SetTargets([]Target{good, tt.target})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
			refused := 0
			for _, st := range s.Targets() {
				if st.Health == Refused && strings.Contains(st.Reason, tt.want) {
					refused++
				}
			}
			if refused != 1 {
				t.Errorf("%+v", s.Targets())
			}
		})
	}
	is(t, s, "up", 1)
}

// TestDial scrapes a target that is reached in another way, with a token.
func TestDial(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		text("x 1\n")(w, r)
	})
	var dialed atomic.Value
	s := opened(t, func(o *Options) {
		o.ScrapeBearerTokenFile = token
		o.Dial = func(ctx context.Context, network, wanted string) (net.Conn, error) {
			dialed.Store(wanted)
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	})
	if err := s.SetTargets([]Target{{Address: "workload.example.com:9000", Interval: quick}}); err != nil {
		t.Fatal(err)
	}
	is(t, s, `x{instance="workload.example.com:9000"}`, 1)
	if got := dialed.Load(); got != "workload.example.com:9000" {
		t.Errorf("dialed %v", got)
	}
}

// TestSeriesLimit fills the memory, and still learns who is up.
func TestSeriesLimit(t *testing.T) {
	s := opened(t, func(o *Options) { o.Limits.Series = 100 })
	at := time.Now()
	var err error
	n := 0
	for ; err == nil && n < 200; n++ {
		err = s.Append(t.Context(), sample(at, 1, "__name__", "m", "i", fmt.Sprint(n)))
	}
	if n != 101 || err == nil || !strings.Contains(err.Error(), "series limit exceeded: there are 100 in memory in all") {
		t.Errorf("after %d series: %v", n, err)
	}
	kept(t, s, sample(at.Add(time.Second), 2, "__name__", "m", "i", "5"))
	if err := s.SetTargets([]Target{{Address: served(t, text("x 1\n")), Interval: quick}}); err != nil {
		t.Fatal(err)
	}
	is(t, s, "up", 0)
	eventually(t, "the reason", func() bool { return strings.Contains(the(t, s).Reason, "series limit exceeded") })
}
