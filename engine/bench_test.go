package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// BenchmarkDue measures how fast rows that are due are taken up, reconciled to nothing, and removed.
func BenchmarkDue(b *testing.B) {
	bench := func(b *testing.B, db *store.DB) {
		e, err := engine.New(b.Context(), db, engine.Options{})
		if err != nil {
			b.Fatal(err)
		}
		var all sync.WaitGroup
		e.Handle("thing", 64, func(context.Context, *engine.Lease) (time.Duration, error) {
			all.Done()
			return engine.Done, nil
		})
		all.Add(b.N)
		for done := 0; done < b.N; {
			n := min(1000, b.N-done)
			err := db.Write(b.Context(), func(ctx context.Context, tx *store.Tx) error {
				for i := range n {
					if err := e.Put(ctx, tx, "thing", fmt.Sprint(done+i), time.Now()); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			done += n
		}
		ctx, cancel := context.WithCancel(b.Context())
		stopped := make(chan struct{})
		b.ResetTimer()
		go func() {
			defer close(stopped)
			if err := e.Run(ctx); err != nil {
				b.Error(err)
			}
		}()
		all.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		b.StopTimer()
		cancel()
		<-stopped
	}
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.Open(b)) })
	b.Run("postgresql", func(b *testing.B) { bench(b, storetest.OpenPostgreSQL(b)) })
}
