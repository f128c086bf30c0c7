package jobs

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// BenchmarkDrain measures a trivial job from Enqueue, in a transaction of its own, to the answer of Wait: a claim, a report of one step with
// two lines, and an end, by 16 workers.
func BenchmarkDrain(b *testing.B) {
	for name, open := range map[string]func(testing.TB, ...storetest.Option) *store.DB{"sqlite": storetest.Open, "postgresql": storetest.OpenPostgreSQL} {
		b.Run(name, func(b *testing.B) { drain(b, open(b)) })
	}
}

func drain(b *testing.B, db *store.DB) {
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	blobs := memblob.OpenBucket(nil)
	defer blobs.Close()
	s, err := New(ctx, Options{DB: db, Blobs: blobs})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var crew sync.WaitGroup
	w := Worker{ID: "w", Session: "s", Labels: []string{"*"}, Embedded: true, Places: 16}
	for range w.Places {
		crew.Go(func() {
			for {
				task, err := s.Claim(ctx, w, time.Minute)
				if err != nil {
					return
				}
				if task == nil {
					continue
				}
				err = s.Report(ctx, task.TaskRef, Batch{Seq: 1, Items: []Item{started(1), lines(1, "one", "two"), finished(1, pipeline.Success)}})
				if err == nil {
					err = s.Finish(ctx, task.TaskRef, TaskEnd{Outcome: runner.Outcome{Status: pipeline.Success}, Batches: 1})
				}
				if err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			}
		})
	}
	begin := time.Now()
	b.ResetTimer()
	var waiting sync.WaitGroup
	places := make(chan struct{}, 1000)
	for n := range b.N {
		places <- struct{}{}
		waiting.Go(func() {
			defer func() { <-places }()
			id := ""
			err := db.Write(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
				id, err = s.Enqueue(ctx, tx, "p", fmt.Sprint(n+1), 1, runner.Assignment{ID: "a", Key: "a", Name: "a", RunsOn: []string{"ubuntu-latest"}})
				return err
			})
			if err == nil {
				_, err = s.Wait(ctx, id)
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	waiting.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "jobs/s")
	stop()
	crew.Wait()
}
