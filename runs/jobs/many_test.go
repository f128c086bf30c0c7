package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestManyWorkers has the workers of two servers on one database work through a queue. Some of them fall asleep on a job until it was taken
// from them, and then go on as if nothing had been. Each job must end once, by the word of a worker that held it then.
func TestManyWorkers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const jobs, workers = 60, 8
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		blobs := memblob.OpenBucket(nil)
		defer blobs.Close()
		var services []*Service
		var engines sync.WaitGroup
		defer engines.Wait()
		working, rest := context.WithCancel(ctx)
		defer rest()
		for range 2 {
			e, err := engine.New(ctx, db, engine.Options{Poll: 10 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(ctx, Options{DB: db, Engine: e, Blobs: blobs, TTL: 300 * time.Millisecond, RemoteTTL: 300 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			services = append(services, s)
			engines.Go(func() { e.Run(working) })
		}

		var mu sync.Mutex
		accepted := map[string][]int64{} // the tokens by whose word a job has ended
		fenced := 0
		var ids []string
		for n := range jobs {
			err := db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
				name := fmt.Sprintf("job %d", n)
				id, err := services[n%2].Enqueue(ctx, tx, "p", fmt.Sprint(1+n/10), 1, runner.Assignment{ID: name, Key: name, Name: name})
				if err == nil {
					ids = append(ids, id)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var crew sync.WaitGroup
		defer crew.Wait()
		for n := range workers {
			s := services[n%2]
			w := Worker{ID: fmt.Sprintf("worker %d", n), Session: "s", Labels: []string{"*"}, Embedded: true, Places: 1}
			crew.Go(func() {
				for turn := 0; ; turn++ {
					task, err := s.Claim(working, w, time.Minute)
					if err != nil || task == nil {
						return // it was told to stop
					}
					err = s.Report(working, task.TaskRef, Batch{Seq: 1, Items: []Item{lines(0, fmt.Sprint("token ", task.Token))}})
					if err == nil && turn%5 == n%5 && task.Try == 1 {
						for err == nil { // it sleeps until another has the job
							j, e := s.Held(working, task.TaskRef)
							if e != nil || j == nil {
								break
							}
							select {
							case <-working.Done():
								return
							case <-time.After(5 * time.Millisecond):
							}
						}
					}
					end := TaskEnd{Outcome: runner.Outcome{Status: pipeline.Success, Reason: fmt.Sprint("token ", task.Token)}, Batches: 1}
					err = s.Finish(working, task.TaskRef, end)
					mu.Lock()
					switch {
					case err == nil:
						accepted[task.Job] = append(accepted[task.Job], task.Token)
					case errors.Is(err, ErrFenced):
						fenced++
					case working.Err() == nil:
						t.Errorf("finish %s: %v", task.Job, err)
					}
					mu.Unlock()
				}
			})
		}
		for i, id := range ids {
			o, err := services[i/2%2].Wait(ctx, id)
			if err != nil || o.Status != pipeline.Success {
				t.Fatalf("%s ended as %+v, %v", id, o, err)
			}
		}
		rest()
		crew.Wait()
		if len(accepted) != jobs || fenced == 0 {
			t.Errorf("%d of %d jobs have ended, %d stale ends were refused: %v", len(accepted), jobs, fenced, slices.Sorted(maps.Keys(accepted)))
		}
		for _, id := range ids {
			r := &jobRow{}
			if err := find1(ctx, db.NewSelect(), id, r); err != nil {
				t.Fatal(err)
			}
			if tokens := accepted[id]; len(tokens) != 1 || r.Reason != fmt.Sprint("token ", tokens[0]) {
				t.Errorf("%s was ended by %v and says %q", id, tokens, r.Reason)
			}
		}
		events, err := db.Events(ctx, store.EventQuery{Types: []string{"job.finished"}, Limit: 1000})
		if err != nil || len(events) != jobs {
			t.Errorf("%d events tell of ends, %v", len(events), err)
		}
	})
}
