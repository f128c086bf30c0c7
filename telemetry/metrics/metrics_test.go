package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("METRICS_TEST_WRITER"); dir != "" {
		writeUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// opened opens a store for a test, and closes it with it.
func opened(t testing.TB, change ...func(*Options)) *Store {
	t.Helper()
	s, err := Open(options(t, change...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func options(t testing.TB, change ...func(*Options)) Options {
	o := Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, c := range change {
		c(&o)
	}
	return o
}

// eventually waits until something holds. The deadline is for a machine that has much else to do.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("it never came to: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// sample is a value with pairs of names and values of labels.
func sample(at time.Time, value float64, labels ...string) Sample {
	m := map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		m[labels[i]] = labels[i+1]
	}
	return Sample{Labels: m, Point: Point{at, value}}
}

// kept appends samples.
func kept(t testing.TB, s *Store, samples ...Sample) {
	t.Helper()
	if err := s.Append(t.Context(), samples...); err != nil {
		t.Fatal(err)
	}
}

// value asks for one number. It is false if there is none.
func value(t testing.TB, q Querier, expr string, at time.Time) (float64, bool) {
	t.Helper()
	r, err := q.Query(t.Context(), expr, at)
	switch {
	case err != nil:
		t.Fatal(err)
	case len(r.Series) > 1:
		t.Fatalf("%s has %d series", expr, len(r.Series))
	case len(r.Series) == 0:
		return 0, false
	}
	return r.Series[0].Points[0].Value, true
}

// is waits until an expression has a value.
func is(t testing.TB, q Querier, expr string, want float64) {
	t.Helper()
	eventually(t, expr, func() bool {
		got, ok := value(t, q, expr, time.Now())
		return ok && got == want
	})
}

func TestAppend(t *testing.T) {
	s := opened(t)
	at := time.Now().Truncate(time.Millisecond)
	if st := s.Stats(); st.Series != 0 || !st.Newest.IsZero() {
		t.Errorf("an empty store says %+v", st)
	}
	kept(t, s, sample(at, 1, "__name__", "a"), sample(at, 2, "__name__", "b", "x", "y"))
	if got, _ := value(t, s, `b{x="y"}`, at); got != 2 {
		t.Errorf("b is %v", got)
	}
	if st := s.Stats(); st.Series != 2 || !st.Newest.Equal(at) || !st.Oldest.Equal(at) || st.Bytes == 0 {
		t.Errorf("a store with two samples says %+v", st)
	}

	t.Run("all or none", func(t *testing.T) {
		if err := s.Append(t.Context(), sample(at, 1, "__name__", "c"), sample(at, 1, "no", "name")); err == nil {
			t.Error("a sample without a name was kept")
		}
		if _, ok := value(t, s, "c", at); ok {
			t.Error("the sample before the bad one was kept")
		}
	})
	t.Run("older than the newest", func(t *testing.T) {
		kept(t, s, sample(at.Add(-5*time.Minute), 7, "__name__", "a"))
		if got, _ := value(t, s, "a", at.Add(-5*time.Minute)); got != 7 {
			t.Errorf("what came late is %v", got)
		}
		if err := s.Append(t.Context(), sample(at.Add(-time.Hour), 7, "__name__", "a")); err == nil {
			t.Error("a sample that is too late was kept")
		}
	})
}

func TestClosed(t *testing.T) {
	s, err := Open(options(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Query(t.Context(), "1", time.Now()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a query is answered with %v", err)
	}
	if err := s.SetTargets([]Target{{Address: "localhost:1"}}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("targets are set with %v", err)
	}
}

// TestCloseWhileAsked closes a store that is being asked, written to and given targets: those who come too late learn why, and nothing breaks.
func TestCloseWhileAsked(t *testing.T) {
	s, err := Open(options(t))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-time.Minute)
	kept(t, s, sample(begin, 1, "__name__", "m"))
	h := s.Handler("")
	var (
		users sync.WaitGroup
		busy  sync.WaitGroup
	)
	for name, use := range map[string]func(i int) error{
		"query": func(int) error {
			_, err := s.Query(context.Background(), "sum_over_time(m[1h:1s])", begin.Add(time.Minute))
			return err
		},
		"write": func(i int) error {
			return s.Append(context.Background(), sample(begin.Add(time.Duration(i)*time.Millisecond), 1, "__name__", "n"))
		},
		"targets": func(i int) error {
			return s.SetTargets([]Target{{Address: "localhost:1", Version: strconv.Itoa(i), Interval: quick}})
		},
		"rules": func(int) error { return s.SetRules() },
		"HTTP": func(int) error {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/query?query=m", nil))
			if w.Code == http.StatusServiceUnavailable {
				return ErrUnavailable
			}
			return nil
		},
	} {
		busy.Add(1)
		users.Go(func() {
			for i := 1; ; i++ {
				err := use(i)
				if i == 1 {
					busy.Done()
				}
				if err != nil {
					if !errors.Is(err, ErrUnavailable) {
						t.Errorf("%s: %v", name, err)
					}
					return
				}
			}
		})
	}
	busy.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	users.Wait()
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no directory", func(o *Options) { o.Dir = "" }, "no directory"},
		{"short retention", func(o *Options) { o.Retention = time.Minute }, "retention 1m0s is below 2h0m0s"},
		{"small disk", func(o *Options) { o.MaxBytes = 1 << 20 }, "size limit of 1048576 bytes is below 67108864"},
		{"fast scrapes", func(o *Options) { o.ScrapeInterval = time.Millisecond }, "scrape interval 1ms is not within 100ms and 1h0m0s"},
		{"a time below zero", func(o *Options) { o.QueryTimeout = -1 }, "query timeout -1ns is below 1ms"},
		{"a certificate without a key", func(o *Options) { o.ScrapeTLS.CertFile = "x" }, "a certificate for scraping needs its key"},
		{"a file that is not there", func(o *Options) { o.ScrapeTLS.CAFile = "/does/not/exist" }, "/does/not/exist"},
		{"a bad external label", func(o *Options) { o.ExternalLabels = map[string]string{"__x\xff": "y"} }, "options of the metrics"},
		{"a nameless remote write", func(o *Options) { o.RemoteWrites = []RemoteWrite{{URL: "http://localhost"}} }, `remote write "": it has no name`},
		{"a remote write to nowhere", func(o *Options) { o.RemoteWrites = []RemoteWrite{{Name: "a", URL: "ftp://localhost"}} }, "does not begin with http"},
		{"a secret in an address", func(o *Options) { o.RemoteWrites = []RemoteWrite{{Name: "a", URL: "http://ann:hush@localhost"}} }, "name or a password"},
		{"two of one name", func(o *Options) {
			o.RemoteWrites = []RemoteWrite{{Name: "a", URL: "http://localhost/1"}, {Name: "a", URL: "http://localhost/2"}}
		}, "a"},
		{"another protocol", func(o *Options) { o.RemoteWrites = []RemoteWrite{{Name: "a", URL: "http://localhost", Version: 3}} }, "version 3"},
		{"a header of the protocol's", func(o *Options) {
			o.RemoteWrites = []RemoteWrite{{Name: "a", URL: "http://localhost", Headers: map[string]string{"Content-Encoding": "gzip"}}}
		}, "Content-Encoding"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(options(t, tt.change))
			if err == nil {
				t.Fatal("it was opened", s.Close())
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %q, which does not say %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("the error tells the secret: %q", err)
			}
		})
	}
}

// TestDollar holds that an external label is what was given, not what the environment has.
func TestDollar(t *testing.T) {
	t.Setenv("METRICS_TEST_VALUE", "from the environment")
	s := opened(t, func(o *Options) { o.ExternalLabels = map[string]string{"site": "$METRICS_TEST_VALUE ${HOME} $$"} })
	if got := s.config.GlobalConfig.ExternalLabels.Get("site"); got != "$METRICS_TEST_VALUE ${HOME} $$" {
		t.Errorf("the label became %q", got)
	}
}
