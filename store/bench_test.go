package store_test

import (
	"context"
	"testing"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// databases runs a benchmark on each database. How durable PostgreSQL's commits are is its server's setting: one started by
// .ci/postgres-up does not wait for the disk.
func databases(b *testing.B, f func(b *testing.B, db *store.DB)) {
	b.Run("sqlite", func(b *testing.B) { f(b, storetest.Open(b)) })
	b.Run("sqlite_normal", func(b *testing.B) { // what synchronous(FULL) costs
		db := storetest.Open(b)
		store.Relax(b.Context(), db)
		f(b, db)
	})
	b.Run("postgresql", func(b *testing.B) { f(b, storetest.OpenPostgreSQL(b)) })
}

func appendOne(ctx context.Context, tx *store.Tx) error {
	return tx.Append(store.Event{Type: "test.ran", Project: "p", Run: "r", Actor: "gantry"}, map[string]int{"n": 1})
}

// BenchmarkWrite is one committed transaction with an event after the other.
func BenchmarkWrite(b *testing.B) {
	databases(b, func(b *testing.B, db *store.DB) {
		for b.Loop() {
			if err := db.Write(b.Context(), appendOne); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	})
}

// BenchmarkWriteTogether is the same by sixteen writers at once.
func BenchmarkWriteTogether(b *testing.B) {
	databases(b, func(b *testing.B, db *store.DB) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := db.Write(b.Context(), appendOne); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	})
}

// BenchmarkEvents reads pages of a hundred of one run's.
func BenchmarkEvents(b *testing.B) {
	databases(b, func(b *testing.B, db *store.DB) {
		err := db.Write(b.Context(), func(ctx context.Context, tx *store.Tx) error {
			for range 1000 {
				if err := appendOne(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		read := 0
		for b.Loop() {
			page, err := db.Events(b.Context(), store.EventQuery{Run: "r", After: 450})
			if err != nil || len(page) != 100 {
				b.Fatal(len(page), err)
			}
			read += len(page)
		}
		b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "events/s")
	})
}
