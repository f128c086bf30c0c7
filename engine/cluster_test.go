package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestDeadServer takes the database away from a server while it works: another one takes the work up, the first one hears of it, and
// cannot write any more.
func TestDeadServer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dying := storetest.Again(t, db)
		first := open(t, dying, engine.Options{Owner: "first"})
		entered, gone := make(chan *engine.Lease, 1), make(chan error, 1)
		first.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			entered <- l
			<-ctx.Done()
			gone <- context.Cause(ctx)
			return 0, nil
		})
		stopFirst := start(t, first)
		due := time.Now().Truncate(time.Microsecond)
		put(t, db, first, "thing", "a", due)
		stale := recv(t, entered, "the first server")

		second := open(t, db, engine.Options{Owner: "second"})
		taken := make(chan *engine.Lease, 1)
		second.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			taken <- l
			<-ctx.Done()
			return 0, nil
		})
		start(t, second)
		if err := db.Write(t.Context(), stale.Guard); err != nil {
			t.Errorf("the lease of a server that beats: %v", err)
		}
		if err := dying.Close(); err != nil { // no heartbeat any more
			t.Fatal(err)
		}
		fresh := recv(t, taken, "the second server")
		if fresh.Token <= stale.Token || fresh.Owner != "second" || fresh.Failures != 0 || fresh.Due.After(time.Now()) {
			t.Errorf("took %+v after %+v", fresh, stale)
		}
		if err := db.Write(t.Context(), stale.Guard); !errors.Is(err, engine.ErrLost) {
			t.Errorf("the stale lease guards: %v", err)
		}
		if err := db.Write(t.Context(), fresh.Guard); err != nil {
			t.Errorf("the fresh lease does not guard: %v", err)
		}
		if db.Kind == store.PostgreSQL {
			if err := recv(t, gone, "the first server to notice"); !errors.Is(err, engine.ErrLost) {
				t.Errorf("the first server's cause: %v", err)
			}
		}
		stopFirst()
	})
}

// TestDisown takes the work of a former process up without waiting for its leases to expire.
func TestDisown(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dying := storetest.Again(t, db)
		first := open(t, dying, engine.Options{Owner: "before"})
		entered := make(chan struct{}, 1)
		first.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			entered <- struct{}{}
			<-ctx.Done()
			return 0, nil
		})
		start(t, first)
		put(t, db, first, "thing", "a", time.Now())
		recv(t, entered, "the first server")
		if err := dying.Close(); err != nil {
			t.Fatal(err)
		}
		// It would wait for an hour before it believes that the other one is dead.
		second := open(t, db, engine.Options{Owner: "after", TTL: time.Hour, Heartbeat: time.Minute})
		taken := make(chan struct{}, 1)
		second.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			taken <- struct{}{}
			return engine.Done, nil
		})
		start(t, second)
		for _, bad := range []string{"", "after"} {
			if err := second.Disown(t.Context(), bad); err == nil {
				t.Errorf("disowned %q", bad)
			}
		}
		if err := second.Disown(t.Context(), "before"); err != nil {
			t.Fatal(err)
		}
		recv(t, taken, "the second server")
	})
}

// TestStopGivesBack shows that another server need not wait for the leases of one that stops.
func TestStopGivesBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := open(t, db, engine.Options{TTL: time.Hour, Heartbeat: time.Minute})
		entered := make(chan struct{}, 3)
		e.Handle("thing", 3, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			entered <- struct{}{}
			<-ctx.Done()
			return engine.Done, errors.New("whatever") // counts as "again at once"
		})
		stop := start(t, e)
		for i := range 3 {
			put(t, db, e, "thing", fmt.Sprint(i), time.Now())
		}
		for range 3 {
			recv(t, entered, "the calls")
		}
		stop()
		var left []struct {
			Owner    string
			Due      int64
			Failures int
		}
		if err := db.NewRaw("SELECT owner, due, failures FROM engine_work").Scan(t.Context(), &left); err != nil {
			t.Fatal(err)
		}
		for _, r := range left {
			if r.Owner != "" || r.Failures != 0 || r.Due > time.Now().UnixMicro() {
				t.Errorf("left behind: %+v", r)
			}
		}
		var servers int
		if err := db.NewRaw("SELECT COUNT(*) FROM engine_servers").Scan(t.Context(), &servers); err != nil || servers != 0 || len(left) != 3 {
			t.Errorf("%d servers and %d rows are left, %v", servers, len(left), err)
		}
	})
}

// TestOneEffectiveWriter has servers that die at random points, and reconcilers that go on writing whatever they are told. Each write
// takes a number from a row and puts the next one, guarded; a write by a stale owner would show as a token that goes back.
func TestOneEffectiveWriter(t *testing.T) {
	const items, steps, servers = 4, 25, 5
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Migrate(t.Context(), "test", []store.Migration{{Name: "0001", SQL: `
			CREATE TABLE effects (seq $SERIAL, id TEXT NOT NULL, step BIGINT NOT NULL, token BIGINT NOT NULL);`}})
		if err != nil {
			t.Fatal(err)
		}
		// write makes the next effect of an item; it does not look at contexts, as a server that was paused would not.
		write := func(db *store.DB, l *engine.Lease) (step int, err error) {
			err = db.Write(context.Background(), func(ctx context.Context, tx *store.Tx) error {
				if err := l.Guard(ctx, tx); err != nil {
					return err
				}
				if err := tx.NewRaw("SELECT COALESCE(MAX(step), 0) FROM effects WHERE id = ?", l.ID).Scan(ctx, &step); err != nil {
					return err
				}
				step++
				_, err := tx.ExecContext(ctx, "INSERT INTO effects (id, step, token) VALUES (?, ?, ?)", l.ID, step, l.Token)
				return err
			})
			return step, err
		}
		var stale sync.WaitGroup
		handle := func(e *engine.Engine) {
			e.Handle("item", 2, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
				// It writes with a handle that works, so that nothing but the guard holds back an owner whose own is dead.
				step, err := write(db, l)
				if err != nil {
					return 0, err
				}
				if ctx.Err() != nil {
					return 0, nil
				}
				if step >= steps {
					return engine.Done, nil
				}
				if step%5 == 0 { // lingers, and writes once more after others may have taken over
					stale.Go(func() {
						<-ctx.Done()
						_, _ = write(db, l)
					})
				}
				return 0, nil
			})
		}
		last := open(t, db, engine.Options{Owner: "last"})
		handle(last)
		for i := range items {
			put(t, db, last, "item", fmt.Sprint(i), time.Now())
		}
		for i := range servers {
			own := storetest.Again(t, db)
			e := open(t, own, engine.Options{Owner: fmt.Sprint("server-", i)})
			handle(e)
			stop := start(t, e)
			var before, now int
			count := "SELECT COUNT(*) FROM effects"
			if err := db.NewRaw(count).Scan(t.Context(), &before); err != nil {
				t.Fatal(err)
			}
			until(t, "it has done something or nothing is left", func() bool {
				if err := db.NewRaw(count).Scan(t.Context(), &now); err != nil {
					t.Fatal(err)
				}
				return now > before+5 || rows(t, db) == 0
			})
			if err := own.Close(); err != nil {
				t.Fatal(err)
			}
			defer stop()
		}
		start(t, last)
		until(t, "all items are done", func() bool { return rows(t, db) == 0 })
		stale.Wait()
		var effects []struct {
			Seq, Step, Token int64
			ID               string
		}
		if err := db.NewRaw("SELECT * FROM effects ORDER BY seq").Scan(t.Context(), &effects); err != nil {
			t.Fatal(err)
		}
		at := map[string][2]int64{}
		for _, x := range effects {
			before := at[x.ID]
			if x.Step != before[0]+1 || x.Token < before[1] {
				t.Errorf("item %s: step %d with token %d after step %d with token %d", x.ID, x.Step, x.Token, before[0], before[1])
			}
			at[x.ID] = [2]int64{x.Step, x.Token}
		}
		for id, x := range at {
			if x[0] < steps {
				t.Errorf("item %s ended at step %d", id, x[0])
			}
		}
		if len(at) != items {
			t.Errorf("%d of %d items have effects", len(at), items)
		}
	})
}

// tell is a log handler that sends a value for each warning.
type tell chan struct{}

func (c tell) Enabled(_ context.Context, l slog.Level) bool { return l == slog.LevelWarn }
func (c tell) Handle(context.Context, slog.Record) error    { c <- struct{}{}; return nil }
func (c tell) WithAttrs([]slog.Attr) slog.Handler           { return c }
func (c tell) WithGroup(string) slog.Handler                { return c }

// TestDatabaseAway takes the tables away for a while: the engine neither gives up nor forgets what it has to give back.
func TestDatabaseAway(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		failed := make(chan struct{}, 100)
		e, err := engine.New(t.Context(), db, engine.Options{Poll: 20 * time.Millisecond, Log: slog.New(tell(failed))})
		if err != nil {
			t.Fatal(err)
		}
		entered, leave := make(chan struct{}), make(chan struct{})
		e.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			entered <- struct{}{}
			<-leave
			return engine.Done, nil
		})
		start(t, e)
		put(t, db, e, "thing", "a", time.Now())
		recv(t, entered, "the call")
		rename := func(from, to string) {
			t.Helper()
			err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.ExecContext(ctx, fmt.Sprintf("ALTER TABLE %s RENAME TO %s", from, to))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		rename("engine_work", "elsewhere")
		leave <- struct{}{}
		recv(t, failed, "the engine's complaint")
		rename("elsewhere", "engine_work")
		until(t, "the row is given back", func() bool { return rows(t, db) == 0 })
		put(t, db, e, "thing", "b", time.Now())
		recv(t, entered, "the next call")
		leave <- struct{}{}
	})
}

// TestClockSetBack shows that work which was put for now, and short delays, do not wait for a clock that was set back to come there
// again, and that later times stand.
func TestClockSetBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var mu sync.Mutex
		var shift time.Duration
		clock := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(shift)
		}
		e := open(t, db, engine.Options{Now: clock})
		calls := make(chan string, 10)
		allow := make(chan struct{})
		e.Handle("thing", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			calls <- l.ID
			<-allow
			return engine.Done, nil
		})
		start(t, e)
		put(t, db, e, "thing", "busy", clock())
		recv(t, calls, "the first")
		put(t, db, e, "thing", "now", clock())
		put(t, db, e, "thing", "soon", clock().Add(50*time.Millisecond))
		put(t, db, e, "thing", "tomorrow", clock().Add(24*time.Hour))
		mu.Lock()
		shift = -time.Hour
		mu.Unlock()
		close(allow)
		for _, want := range []string{"now", "soon"} {
			if got := recv(t, calls, want); got != want {
				t.Errorf("%s came in place of %s", got, want)
			}
		}
		until(t, "only tomorrow's is left", func() bool { return rows(t, db) == 1 })
	})
}
