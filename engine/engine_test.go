package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// open makes an engine with short times, and log lines where the test shows them.
func open(t *testing.T, db *store.DB, o engine.Options) *engine.Engine {
	t.Helper()
	if o.TTL == 0 {
		o.TTL, o.Heartbeat = 400*time.Millisecond, 50*time.Millisecond
	}
	if o.Poll == 0 {
		o.Poll = 20 * time.Millisecond
	}
	o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	e, err := engine.New(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// start runs an engine until the test or stop ends it.
func start(t *testing.T, e *engine.Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func put(t *testing.T, db *store.DB, e *engine.Engine, kind, id string, due time.Time) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return e.Put(ctx, tx, kind, id, due) })
	if err != nil {
		t.Fatal(err)
	}
}

// recv waits for a value for as long as a loaded machine may need.
func recv[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited too long for %s", what)
		panic("unreachable")
	}
}

// rows counts the rows of the engine.
func rows(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	if err := db.NewRaw("SELECT COUNT(*) FROM engine_work").Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestWorkIsDoneOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := open(t, db, engine.Options{})
		var mu sync.Mutex
		calls := map[string]int{}
		all := make(chan struct{})
		const n = 500
		e.Handle("thing", 8, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			if calls[l.ID]++; len(calls) == n && calls[l.ID] == 1 {
				close(all)
			}
			return engine.Done, nil
		})
		start(t, e)
		err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			for i := range n {
				if err := e.Put(ctx, tx, "thing", fmt.Sprint(i), time.Now()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		recv(t, all, "all things")
		until(t, "nothing is left", func() bool { return rows(t, db) == 0 })
		mu.Lock()
		defer mu.Unlock()
		for id, c := range calls {
			if c != 1 {
				t.Errorf("%s was done %d times", id, c)
			}
		}
	})
}

func TestPutWhileReconciling(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := open(t, db, engine.Options{Poll: time.Hour}) // so that nothing but Put wakes it
		entered, leave := make(chan int64), make(chan struct{})
		e.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			entered <- l.Token
			<-leave
			return engine.Done, nil
		})
		start(t, e)
		put(t, db, e, "thing", "a", time.Now())
		first := recv(t, entered, "the first call")
		put(t, db, e, "thing", "a", time.Now())
		leave <- struct{}{}
		second := recv(t, entered, "the call after the put")
		if second <= first {
			t.Errorf("token %d after %d", second, first)
		}
		leave <- struct{}{}
		until(t, "the row is gone", func() bool { return rows(t, db) == 0 })
	})
}

func TestDelaysAndEarlierPut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := open(t, db, engine.Options{})
		calls := make(chan time.Time, 10)
		again := make(chan time.Duration, 10)
		e.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			calls <- l.Due
			return <-again, nil
		})
		start(t, e)
		put(t, db, e, "thing", "a", time.Now().Add(time.Hour))
		soon := time.Now().Add(60 * time.Millisecond).Truncate(time.Microsecond)
		put(t, db, e, "thing", "a", soon)
		put(t, db, e, "thing", "a", soon.Add(time.Minute)) // later: changes nothing
		again <- 30 * time.Millisecond
		if due := recv(t, calls, "the first call"); !due.Equal(soon) || time.Now().Before(soon) {
			t.Errorf("due %v, put for %v, called at %v", due, soon, time.Now())
		}
		again <- time.Hour
		recv(t, calls, "the call after the delay")
		again <- engine.Done
		put(t, db, e, "thing", "a", time.Now())
		recv(t, calls, "the call after an earlier put")
		until(t, "the row is gone", func() bool { return rows(t, db) == 0 })
	})
}

func TestErrorsDelay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := open(t, db, engine.Options{})
		failures := make(chan int, 10)
		e.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			failures <- l.Failures
			if l.Failures == 3 {
				return time.Hour, nil
			}
			if l.Failures == 1 {
				panic("thing\x00fell")
			}
			return 0, errors.New("it broke")
		})
		start(t, e)
		type state struct {
			Due, Failures int64
			Owner, Error  string
		}
		for i, want := range []struct {
			error string
			delay time.Duration
		}{{"it broke", time.Second}, {"panic: thingfell", 2 * time.Second}, {"it broke", 4 * time.Second}, {"", time.Hour}} {
			before := time.Now()
			put(t, db, e, "thing", "a", before) // need not wait for the delay
			if n := recv(t, failures, "the attempt"); n != i {
				t.Errorf("attempt %d says %d failures", i, n)
			}
			var s state
			until(t, "the row is given back", func() bool {
				if err := db.NewRaw("SELECT due, failures, owner, error FROM engine_work").Scan(t.Context(), &s); err != nil {
					t.Fatal(err)
				}
				return s.Owner == ""
			})
			if d := time.UnixMicro(s.Due).Sub(before); s.Error != want.error || d < want.delay-time.Millisecond || d > want.delay+10*time.Second {
				t.Errorf("attempt %d: again after %v with %q, want %v with %q", i, d, s.Error, want.delay, want.error)
			}
		}
	})
}

// TestPlaces shows that no more rows of a kind are worked on than there are places, and that a kind with a backlog keeps no other waiting.
func TestPlaces(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := open(t, db, engine.Options{})
		entered, leave := make(chan string, 100), make(chan struct{})
		block := func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			entered <- l.Kind
			<-leave
			return engine.Done, nil
		}
		e.Handle("many", 3, block)
		e.Handle("few", 1, block)
		start(t, e)
		for i := range 20 {
			put(t, db, e, "many", fmt.Sprint(i), time.Now())
		}
		put(t, db, e, "few", "x", time.Now())
		var got []string
		for range 4 {
			got = append(got, recv(t, entered, "a call"))
		}
		slices.Sort(got)
		if !slices.Equal(got, []string{"few", "many", "many", "many"}) {
			t.Errorf("working on %v", got)
		}
		var leased int
		if err := db.NewRaw("SELECT COUNT(*) FROM engine_work WHERE owner <> ''").Scan(t.Context(), &leased); err != nil || leased != 4 {
			t.Errorf("%d rows are leased, %v", leased, err)
		}
		close(leave)
		until(t, "all are done", func() bool { return rows(t, db) == 0 })
	})
}

func TestRemove(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := open(t, db, engine.Options{})
		entered := make(chan *engine.Lease)
		lost := make(chan error, 1)
		e.Handle("thing", 2, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			entered <- l
			<-ctx.Done()
			lost <- context.Cause(ctx)
			return 0, ctx.Err()
		})
		stop := start(t, e)
		put(t, db, e, "thing", "a", time.Now())
		old := recv(t, entered, "the call")
		write := func(f func(ctx context.Context, tx *store.Tx) error) error {
			t.Helper()
			return db.Write(t.Context(), f)
		}
		if err := write(func(ctx context.Context, tx *store.Tx) error { return e.Remove(ctx, tx, "thing", "a") }); err != nil {
			t.Fatal(err)
		}
		if err := recv(t, lost, "the loss"); !errors.Is(err, engine.ErrLost) {
			t.Errorf("the cause is %v", err)
		}
		// Put anew, it is another row: the old lease says nothing about it.
		put(t, db, e, "thing", "a", time.Now())
		again := recv(t, entered, "the call after the new put")
		if again.Token <= old.Token {
			t.Errorf("token %d after %d", again.Token, old.Token)
		}
		if err := write(old.Guard); !errors.Is(err, engine.ErrLost) {
			t.Errorf("the old lease guards: %v", err)
		}
		if err := write(again.Guard); err != nil {
			t.Errorf("the new lease does not guard: %v", err)
		}
		stop()
		if err := recv(t, lost, "the end"); errors.Is(err, engine.ErrLost) {
			t.Errorf("a stop is no loss: %v", err)
		}
	})
}

func TestKeysAreChecked(t *testing.T) {
	db := storetest.Open(t)
	e := open(t, db, engine.Options{})
	for _, id := range []string{"", "a\x00b", "\xff", string(make([]byte, 600))} {
		err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return e.Put(ctx, tx, "thing", id, time.Now()) })
		if err == nil {
			t.Errorf("ID %q was taken", id)
		}
	}
}
