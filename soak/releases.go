package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// The ways in which versions replace each other here.
var deskStrategies = []string{
	"rolling",
	"{blue-green: {smoke: [{http: /ready}]}, keep-warm: 1s}",
	`{canary: {steps: [{weight: 20%, for: 1s}, {weight: 60%, for: 1s}]}, keep-warm: 1s}`,
}

// deskAnalysis is quick to have what it needs.
const deskAnalysis = "{errors: {samples: 10}, latency: none}"

// deskRate is how often the service is asked in a second.
const deskRate = 160

// inDesk opens a desk in a folder of its own, has something done with it, and looks that nothing is left over.
func inDesk(ctx context.Context, o options, do func(ctx context.Context, d *desk) error) (err error) {
	if o.gantry, err = filepath.Abs(o.gantry); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gantry-soak-")
	if err != nil {
		return err
	}
	d, err := openDesk(ctx, o, dir)
	if err == nil {
		err = do(ctx, d)
	}
	err = errors.Join(err, d.close())
	if o.keep || err != nil {
		log.Printf("the folders and logs are in %s (seed %d)", dir, o.seed)
		return err
	}
	return os.RemoveAll(dir)
}

// runReleases releases versions one after the other under load, with rollbacks, upgrades of the agent and kills of the server among them. Nobody who asks
// the service may notice.
func runReleases(ctx context.Context, o options) error {
	return inDesk(ctx, o, func(ctx context.Context, d *desk) error {
		random := rand.New(rand.NewPCG(o.seed, 2))
		log.Printf("%d releases, seed %d", o.rounds, o.seed)
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
		serving, previous, last := d.version, 0, first.ID
		var done struct{ shipped, back, upgrades, kills int }
		began := time.Now()
		for n := 1; n <= o.rounds; n++ {
			var asked releaseRow
			want := 0
			if n%4 == 0 && previous != 0 {
				if asked, err = d.rollback(ctx, last); err != nil {
					return err
				}
				want, previous = previous, 0
				done.back++
			} else {
				if err := d.commit(ctx, behaviour{}, deskStrategies[random.IntN(len(deskStrategies))], deskAnalysis); err != nil {
					return err
				}
				if asked, err = d.ship(ctx); err != nil {
					return err
				}
				want, previous = d.version, serving
				done.shipped++
			}
			switch n % 5 {
			case 2:
				time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
				if err := d.upgradeAgent(ctx); err != nil {
					return err
				}
				done.upgrades++
			case 4:
				time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
				if err := d.server.kill(); err != nil {
					return err
				}
				if err := d.server.start(ctx); err != nil {
					return err
				}
				done.kills++
			}
			r, err := d.ended(ctx, asked.ID)
			if err != nil {
				return err
			}
			if r.Status != "succeeded" {
				return fmt.Errorf("release %s is %s: %s", r.ID, r.Status, r.Reason)
			}
			if got, err := d.serves(ctx); err != nil || len(got) != 1 || got[0] != want {
				return fmt.Errorf("after release %s, versions %v serve, and not %d: %w", r.ID, got, want, err)
			}
			serving, last = want, r.ID
			if requests, failed, wrong, _, told := asking.seen(); failed+wrong > 0 {
				for _, f := range told {
					log.Printf("FAULT: %s", f)
				}
				return fmt.Errorf("after release %d of %d (seed %d): of %d requests %d failed and %d were wrong", n, o.rounds, o.seed, requests, failed, wrong)
			}
			if n%10 == 0 {
				log.Printf("%4d releases, %v", n, time.Since(began).Round(time.Second))
			}
		}
		asking.stop()
		requests, failed, wrong, slowest, _ := asking.seen()
		log.Printf("%d releases and %d rollbacks, %d agents that took over, %d servers killed, in %v: %d requests, %d failed, %d wrong, the slowest took %v",
			done.shipped, done.back, done.upgrades, done.kills, time.Since(began).Round(time.Second), requests, failed, wrong, slowest.Round(time.Millisecond))
		if failed+wrong > 0 {
			return errors.New("somebody noticed")
		}
		return nil
	})
}
