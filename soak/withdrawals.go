package main

import (
	"context"
	"fmt"
	"log"
	"slices"
	"time"
)

// withdrawal is a kind of bad version, and what it is asked by.
type withdrawal struct {
	name      string
	good, bad behaviour
	rate      float64
	analysis  string
	budget    time.Duration
}

var withdrawals = []withdrawal{
	{"half of the answers fail, 5 % of 20 requests/s", behaviour{}, behaviour{Fail: 0.5}, 20, "{latency: none}", 5 * time.Second},
	{"answers take twice as long, 5 % of 50 requests/s", behaviour{Millis: 20}, behaviour{Millis: 40}, 50, "{errors: none}", 30 * time.Second},
}

// runWithdrawals measures how long bad versions have traffic: from the first bad answer that somebody got (where it is slow and not wrong: from when its
// traffic began) until the server has seen on the agent that the version has none any more.
func runWithdrawals(ctx context.Context, o options) error {
	return inDesk(ctx, o, func(ctx context.Context, d *desk) error {
		for _, w := range withdrawals {
			var took []time.Duration
			missed := 0
			if err := d.commit(ctx, w.good, "rolling", w.analysis); err != nil {
				return err
			}
			first, err := d.ship(ctx)
			if err != nil {
				return err
			}
			if r, err := d.ended(ctx, first.ID); err != nil || r.Status != "succeeded" {
				return fmt.Errorf("the first release is %s: %s: %w", r.Status, r.Reason, err)
			}
			asking := startLoad(ctx, d.address, w.rate)
			for range o.rounds {
				asking.takeFirstBad()
				if err := d.commit(ctx, w.bad, "{canary: {steps: [{weight: 5%, for: 2m}]}}", w.analysis); err != nil {
					asking.stop()
					return err
				}
				r, err := d.ship(ctx)
				if err == nil {
					r, err = d.settled(ctx, r.ID, time.Minute, "its traffic", func(r releaseRow) bool { return r.phase() == "holding" })
				}
				if err != nil {
					asking.stop()
					return err
				}
				begun := r.Rollouts[len(r.Rollouts)-1].State.Since
				var gone time.Time
				r, err = d.settled(ctx, r.ID, 3*time.Minute, "its end", func(r releaseRow) bool {
					if p := r.phase(); gone.IsZero() && (p == "removing" || p == "rolled-back" || p == "succeeded") {
						gone = r.Rollouts[len(r.Rollouts)-1].State.Since
					}
					return slices.Contains(releaseEnds, r.Status)
				})
				if err != nil {
					asking.stop()
					return err
				}
				if r.Status != "rolled-back" {
					missed++
					continue
				}
				if at := asking.takeFirstBad(); !at.IsZero() {
					begun = at
				}
				took = append(took, gone.Sub(begun))
			}
			asking.stop()
			slices.Sort(took)
			if len(took) == 0 {
				return fmt.Errorf("%s: none of %d was withdrawn", w.name, o.rounds)
			}
			log.Printf("%s: withdrawn after %v (median of %d, %v to %v; budget %v), %d not within 2 minutes", w.name, took[len(took)/2].Round(10*time.Millisecond), len(took),
				took[0].Round(10*time.Millisecond), took[len(took)-1].Round(10*time.Millisecond), w.budget, missed)
		}
		return nil
	})
}
