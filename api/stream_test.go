package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// message is one of a stream.
type message struct {
	id          int64
	event, data string
}

// follower reads a stream as a browser does.
type follower struct {
	in    *bufio.Reader
	close func() error
}

// follow begins to read a stream; last is the Last-Event-ID, where it is one.
func (w *world) followStream(ctx context.Context, client http.RoundTripper, token, path string, last int64) (*follower, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.http.URL+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if last >= 0 {
		r.Header.Set("Last-Event-ID", strconv.FormatInt(last, 10))
	}
	resp, err := client.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("answered %s of %q", resp.Status, got)
	}
	return &follower{bufio.NewReader(resp.Body), resp.Body.Close}, nil
}

// next waits for the next message; what ends before its empty line is none.
func (f *follower) next() (message, error) {
	var m message
	for {
		line, err := f.in.ReadString('\n')
		if err != nil {
			return message{}, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			if m.id, err = strconv.ParseInt(value, 10, 64); err != nil {
				return m, err
			}
		case "event":
			m.event = value
		case "data":
			m.data = value
		case "":
			if m.event != "" {
				return m, nil
			}
		}
	}
}

// happen writes an event as a server of the database does.
func happen(db *store.DB, kind string, n int, data any) error {
	return db.Write(context.Background(), func(_ context.Context, tx *store.Tx) error {
		return tx.Append(store.Event{Type: kind, Actor: "test", Subject: strconv.Itoa(n)}, data)
	})
}

// TestStreamResumes breaks a stream off again and again while two servers write: each event comes once and in order.
func TestStreamResumes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		ann := w.admin()
		readers := []*world{w, w.again()}
		const each = 150
		last, err := db.LastEvent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, to := range []*store.DB{db, storetest.Again(t, db)} {
			wg.Go(func() {
				for n := range each {
					if err := happen(to, "test.happened", n, map[string]int{"n": n}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var got []int64
		for round := 0; len(got) < 2*each; round++ {
			f, err := readers[round%2].followStream(ctx, http.DefaultTransport, ann, "/api/v1/events/stream?type=test", last)
			if err != nil {
				t.Fatalf("after %d events: %v", len(got), err)
			}
			for range 1 + round*7%40 {
				if len(got) == 2*each {
					break
				}
				m, err := f.next()
				if err != nil {
					t.Fatalf("after %d events: %v", len(got), err)
				}
				var e store.Event
				if err := json.Unmarshal([]byte(m.data), &e); err != nil || e.Seq != m.id || e.Type != m.event {
					t.Fatalf("the message %+v is no event: %v", m, err)
				}
				got, last = append(got, m.id), m.id
			}
			_ = f.close()
		}
		wg.Wait()
		var want []int64
		list, err := db.Events(t.Context(), store.EventQuery{Types: []string{"test"}, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			want = append(want, e.Seq)
		}
		if !slices.Equal(got, want) {
			t.Errorf("read %d events, written were %d:\n%v\n%v", len(got), len(want), got, want)
		}
	})
}

// TestStreamBeginsNow has a stream without a Last-Event-ID tell of what happens from then on, and refuses what is no ID.
func TestStreamBeginsNow(t *testing.T) {
	w := newWorld(t)
	ann := w.admin()
	if err := happen(w.db, "test.before", 1, nil); err != nil {
		t.Fatal(err)
	}
	f, err := w.followStream(t.Context(), http.DefaultTransport, ann, "/api/v1/events/stream?type=test", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := happen(w.db, "test.after", 2, nil); err != nil {
		t.Fatal(err)
	}
	if m, err := f.next(); err != nil || m.event != "test.after" {
		t.Errorf("the first message is %+v, %v", m, err)
	}
	for _, after := range []string{"nonsense", "-5", "99999999999999999999"} {
		if r := w.do(request{method: "GET", path: "/api/v1/events/stream?after=" + after, token: ann}); checkProblem(r) != nil || r.status != http.StatusUnprocessableEntity {
			t.Errorf("after=%s was answered %s", after, r)
		}
	}
}

// TestLogStreamResumes follows a log over breaks while it grows, to its end.
func TestLogStreamResumes(t *testing.T) {
	w := newWorld(t)
	ann := w.admin()
	w.project("shop")
	w.start("shop")
	task := w.claim()
	const batches, each = 40, 25
	failed := make(chan error, 1)
	go func() {
		for b := range int64(batches) {
			var lines []jobs.LogLine
			for i := range each {
				lines = append(lines, jobs.LogLine{Time: store.At(time.Now()), Step: 1, Text: fmt.Sprintf("line %d", b*each+int64(i)+1)})
			}
			if err := w.runs.Report(context.Background(), task.TaskRef, jobs.Batch{Seq: b + 1, Items: []jobs.Item{{Lines: lines}}}); err != nil {
				failed <- err
				return
			}
		}
		end := jobs.TaskEnd{Batches: batches}
		end.Status = "success"
		failed <- w.runs.Finish(context.Background(), task.TaskRef, end)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last, got int64
	for ended := false; !ended; {
		f, err := w.followStream(ctx, http.DefaultTransport, ann, "/api/v1/jobs/"+task.Job+"/log/follow", last)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			m, err := f.next()
			if err != nil {
				t.Fatalf("after line %d: %v", last, err)
			}
			if ended = m.event == "end"; ended {
				break
			}
			var part struct {
				Lines []jobs.LogLine `json:"lines"`
			}
			if err := json.Unmarshal([]byte(m.data), &part); err != nil {
				t.Fatal(err)
			}
			for _, l := range part.Lines {
				if got++; l.N != got || l.Text != fmt.Sprintf("line %d", got) {
					t.Fatalf("line %d came as %+v", got, l)
				}
			}
			last = m.id
		}
		_ = f.close()
	}
	if err := <-failed; err != nil || got != batches*each || last != got {
		t.Errorf("%d lines came, the last as %d: %v", got, last, err)
	}
}

// TestHeartbeat sees that a stream without news shows that it lives, and notices when its reader may not read any longer.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := httptest.NewRecorder()
		began, refused := time.Now(), errors.New("signed out")
		st := &stream{ctx: t.Context(), w: rec, control: http.NewResponseController(rec), check: func() error {
			if time.Since(began) > 4*heartbeat {
				return refused
			}
			return nil
		}}
		if err := st.wait(nil); !errors.Is(err, refused) {
			t.Errorf("the stream ended with %v", err)
		}
		if n := strings.Count(rec.Body.String(), ": alive\n\n"); n != 4 || time.Since(began) != 5*heartbeat {
			t.Errorf("in %v there were %d signs of life: %q", time.Since(began), n, rec.Body)
		}
		news := make(chan struct{}, 1)
		news <- struct{}{}
		began = time.Now()
		if err := st.wait(news); err != nil || time.Since(began) != 0 {
			t.Errorf("news were told after %v, %v", time.Since(began), err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		st.ctx = gone
		if err := st.wait(nil); !errors.Is(err, context.Canceled) {
			t.Errorf("without a reader the stream ended with %v", err)
		}
	})
}

// TestSlowReader lets one reader take nothing while a hundred others follow: they get all in time, it is cut off, and then goes on where
// it was without a gap.
func TestSlowReader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as readers are waited for")
	}
	t.Parallel()
	w := newWorld(t)
	ann := w.admin()
	// A socket that takes little, so that the server notices soon; less would make what it has taken slow to read.
	small := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return c, err
	}}
	defer small.CloseIdleConnections()
	start, err := w.db.LastEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slow, err := w.followStream(t.Context(), small, ann, "/api/v1/events/stream?type=large", start)
	if err != nil {
		t.Fatal(err)
	}
	const large, followers, news = 150, 100, 50
	blob := strings.Repeat("x", 100<<10)
	for n := range large {
		if err := happen(w.db, "large.one", n, blob); err != nil {
			t.Fatal(err)
		}
	}
	fast := &http.Transport{MaxIdleConnsPerHost: followers}
	defer fast.CloseIdleConnections()
	var ready, all sync.WaitGroup
	ready.Add(followers)
	var longest sync.Map
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for i := range followers {
		all.Go(func() {
			f, err := w.followStream(ctx, fast, ann, "/api/v1/events/stream?type=small", start)
			ready.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer f.close()
			for n := range news {
				m, err := f.next()
				if err != nil {
					t.Errorf("a follower has got %d of %d: %v", n, news, err)
					return
				}
				var e store.Event
				if err := json.Unmarshal([]byte(m.data), &e); err != nil || e.Subject != strconv.Itoa(n) {
					t.Errorf("instead of %d came %s, %v", n, m.data, err)
					return
				}
				if late := time.Since(e.Time.Time); n == news-1 {
					longest.Store(i, late)
				}
			}
		})
	}
	ready.Wait()
	for n := range news {
		if err := happen(w.db, "small.one", n, nil); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	var worst time.Duration
	longest.Range(func(_, v any) bool { worst = max(worst, v.(time.Duration)); return true })
	t.Logf("the last of %d followers had the last event after %v", followers, worst)
	if worst > patience/2 {
		t.Errorf("it took %v until all had the last event", worst)
	}
	// The slow one begins to read when it is too late.
	<-time.After(patience + 2*time.Second)
	last, got := start, 0
	for {
		m, err := slow.next()
		if err != nil {
			if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") {
				t.Errorf("it was cut off with %v", err)
			}
			break
		}
		if got++; got == large {
			t.Fatal("it was never cut off")
		}
		last = m.id
	}
	_ = slow.close()
	again, err := w.followStream(t.Context(), fast, ann, "/api/v1/events/stream?type=large", last)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	for ; got < large; got++ {
		m, err := again.next()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(m.data, fmt.Sprintf(`"subject":"%d"`, got)) {
			t.Fatalf("instead of %d came %.200s", got, m.data)
		}
	}
}
