package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"
)

// runEnds kills the server, the agent and workloads, alone and together, at random moments of releases. Each release has to come to an end that somebody
// may have asked for, and the service has to be what it says: the new version after success, the old one after a return.
func runEnds(ctx context.Context, o options) error {
	return inDesk(ctx, o, func(ctx context.Context, d *desk) error {
		random := rand.New(rand.NewPCG(o.seed, 3))
		log.Printf("%d releases with kills, seed %d", o.rounds, o.seed)
		if err := d.commit(ctx, behaviour{}, "rolling", deskAnalysis); err != nil {
			return err
		}
		first, err := d.ship(ctx)
		if err != nil {
			return err
		}
		if r, err := d.ended(ctx, first.ID); err != nil || r.Status != "succeeded" {
			return fmt.Errorf("the first release is %s: %s: %w", r.Status, r.Reason, err)
		}
		asking := startLoad(ctx, d.address, deskRate)
		defer asking.stop()
		serving := d.version
		ends, kills, resumed := map[string]int{}, map[string]int{}, 0
		for n := 1; n <= o.rounds; n++ {
			if err := d.commit(ctx, behaviour{}, deskStrategies[random.IntN(len(deskStrategies))], deskAnalysis); err != nil {
				return err
			}
			asked, err := d.ship(ctx)
			if err != nil {
				return err
			}
			time.Sleep(time.Duration(random.Int64N(int64(5 * time.Second))))
			// One to seven: each set of the three that is not empty.
			set := 1 + random.IntN(7)
			var names []string
			if set&4 != 0 {
				names = append(names, "workload")
				if pids := workloadsOf(d); len(pids) > 0 {
					_ = syscall.Kill(pids[random.IntN(len(pids))], syscall.SIGKILL)
				}
			}
			if set&2 != 0 {
				names = append(names, "agent")
				if pid := agentOf(d.agentDir()); pid != 0 {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
			if set&1 != 0 {
				names = append(names, "server")
				if err := d.server.kill(); err != nil {
					return err
				}
				if err := d.server.start(ctx); err != nil {
					return err
				}
			}
			kills[strings.Join(names, "+")]++
			// Where nothing could be measured for as long as the step may be extended, a person is waited for: who goes on.
			r, err := d.settled(ctx, asked.ID, 2*time.Minute, "the end of a release", func(r releaseRow) bool {
				if r.Status == "paused" {
					if d.client.do(ctx, http.MethodPost, d.server.address, "/api/v1/releases/"+r.ID+"/resume", nil, nil) == nil {
						resumed++
					}
				}
				return slices.Contains(releaseEnds, r.Status)
			})
			if err != nil {
				return fmt.Errorf("after the end of %s (seed %d): %w", strings.Join(names, ", "), o.seed, err)
			}
			// While its old version is warm, a release that has succeeded goes back where its new one dies: what it says counts when the service is asked.
			want := serving
			var got []int
			var why error
			if err := until(ctx, 30*time.Second, "the service", func() bool {
				if now := d.look(ctx, r.ID); slices.Contains(releaseEnds, now.Status) {
					r = now
				}
				if want = serving; r.Status == "succeeded" {
					want = d.version
				}
				got, why = d.serves(ctx)
				return why == nil && slices.Equal(got, []int{want})
			}); err != nil {
				return fmt.Errorf("release %s is %s (%s), and versions %v serve, not %d, after the end of %s (seed %d): %w", r.ID, r.Status, r.Reason, got, want, strings.Join(names, ", "), o.seed, errors.Join(err, why))
			}
			ends[r.Status]++
			serving = want
		}
		asking.stop()
		requests, failed, wrong, _, _ := asking.seen()
		log.Printf("%d releases came to an end: %v, %d times after a person had to say go on; killed: %v; %d requests, %d of them while an agent or a workload was dead failed, %d wrong", o.rounds, ends, resumed, kills, requests, failed, wrong)
		if wrong > 0 {
			return fmt.Errorf("%d answers were wrong", wrong)
		}
		return nil
	})
}

// workloadsOf are the processes of the service.
func workloadsOf(d *desk) (pids []int) {
	for _, p := range processesOf(d.agentDir()) {
		var pid int
		if _, err := fmt.Sscanf(p, "%d ", &pid); err == nil && !strings.Contains(p, " agent --dir ") {
			pids = append(pids, pid)
		}
	}
	return pids
}
