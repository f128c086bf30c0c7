package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// hostile is a version that is bad in a way of its own, and what has to come of it.
type hostile struct {
	name               string
	is                 behaviour
	strategy, analysis string
	// refused is what the server says at once; else the release becomes status, for a reason.
	refused, status, reason string
	// fails says that callers notice, until the version is withdrawn.
	fails bool
}

// watched is how a canary is judged by a query of the version's own metrics, and what follows where that says nothing.
func watched(query, inconclusive string) string {
	return fmt.Sprintf("{errors: {samples: 5}, latency: none, inconclusive: "+inconclusive+", queries: {queue: {query: %q, above: 5, samples: 2}}}", query)
}

const (
	plainAnalysis = "{errors: {samples: 5}, latency: none}"
	smallCanary   = "{canary: {steps: [{weight: 20%, for: 3s}]}, keep-warm: 1s}"
	queued        = `sum(orders_queued{version="$version"})`
)

var hostiles = []hostile{
	{name: "never becomes healthy", is: behaviour{Bad: "never-ready"}, strategy: "rolling", analysis: plainAnalysis, status: "rolled-back", reason: `GET /ready.* 503|did not become healthy`},
	{name: "exits at once", is: behaviour{Bad: "exits"}, strategy: "rolling", analysis: plainAnalysis, status: "rolled-back", reason: `exit code 1, after it wrote "error: the ledger is closed"`},
	{name: "listens on another port", is: behaviour{Bad: "other-port"}, strategy: "rolling", analysis: plainAnalysis, status: "rolled-back", reason: `listens on|refused`},
	{name: "lies to its check", is: behaviour{Bad: "lies"}, strategy: smallCanary, analysis: plainAnalysis, status: "rolled-back", reason: `of the canary failed`, fails: true},
	{name: "has 100,000 series", is: behaviour{Bad: "many-series"}, strategy: smallCanary, analysis: watched(queued, "rollback"), status: "rolled-back", reason: `gives nothing \(.* cannot be scraped: .*20000`},
	{name: "has garbage for metrics", is: behaviour{Bad: "garbage"}, strategy: smallCanary, analysis: watched(queued, "rollback"), status: "rolled-back", reason: `gives nothing \(.* cannot be scraped: `},
	{name: "is asked for in PromQL that cannot be", strategy: smallCanary, analysis: watched(`sum(rate(orders_queued[1m])`, "rollback"), refused: `not valid PromQL: 1:28: parse error: unclosed left parenthesis`},
	{name: "is asked for in PromQL that fails", strategy: smallCanary, analysis: watched(`label_replace(sum(orders_queued), "x", "$1", "version", "(")`, "hold"), status: "paused", reason: `regular expression`},
	{name: "is deaf to TERM", is: behaviour{Bad: "deaf"}, strategy: "rolling", analysis: plainAnalysis, status: "succeeded"},
	{name: "forks", is: behaviour{Bad: "forks"}, strategy: "rolling", analysis: plainAnalysis, status: "succeeded"},
}

// runHostile releases versions that are bad in each way that we know of, and a good one after each. The one before has to serve on, and what a bad one has
// left has to be gone.
func runHostile(ctx context.Context, o options) error {
	return inDesk(ctx, o, func(ctx context.Context, d *desk) error {
		if err := d.good(ctx); err != nil {
			return err
		}
		asking := startLoad(ctx, d.address, deskRate)
		defer asking.stop()
		for i := range hostiles {
			h := &hostiles[i]
			if o.only != "" && !strings.Contains(h.name, o.only) {
				continue
			}
			serving := d.version
			said, err := d.suffer(ctx, h)
			if err != nil {
				return fmt.Errorf("a version that %s: %w", h.name, err)
			}
			if h.status == "succeeded" {
				serving = d.version
			}
			// Children of a version that serves are its own.
			if err := d.alone(ctx, serving, h.is.Bad != "forks"); err != nil {
				return fmt.Errorf("after a version that %s: %w", h.name, err)
			}
			requests, failed, wrong, _, first := asking.seen()
			if wrong > 0 || failed > 0 && !h.fails {
				return fmt.Errorf("a version that %s: of %d requests %d failed and %d were answered wrong: %s", h.name, requests, failed, wrong, strings.Join(first, "; "))
			}
			log.Printf("a version that %s: %s", h.name, said)
			if h.fails {
				asking.stop()
				asking = startLoad(ctx, d.address, deskRate)
			}
			if err := d.good(ctx); err != nil {
				return fmt.Errorf("a good version after one that %s: %w", h.name, err)
			}
			if err := d.alone(ctx, d.version, true); err != nil {
				return fmt.Errorf("after a good version after one that %s: %w", h.name, err)
			}
		}
		return nil
	})
}

// good releases a version that nothing is wrong with.
func (d *desk) good(ctx context.Context) error {
	if err := d.commit(ctx, behaviour{}, "rolling", plainAnalysis); err != nil {
		return err
	}
	asked, err := d.ship(ctx)
	if err != nil {
		return err
	}
	r, err := d.ended(ctx, asked.ID)
	if err == nil && r.Status != "succeeded" {
		err = fmt.Errorf("the release %s is %s: %s", r.ID, r.Status, r.Reason)
	}
	return err
}

// suffer releases a bad version, holds what comes of it against what has to, and returns the reason that was said.
func (d *desk) suffer(ctx context.Context, h *hostile) (string, error) {
	if err := d.commit(ctx, h.is, h.strategy, h.analysis); err != nil {
		return "", err
	}
	asked, err := d.ship(ctx)
	if h.refused != "" {
		var refused *apiError
		if !errors.As(err, &refused) || !regexp.MustCompile(h.refused).MatchString(err.Error()) {
			return "", fmt.Errorf("it was to be refused for %q: %w", h.refused, err)
		}
		return "refused: " + err.Error(), nil
	}
	if err != nil {
		return "", err
	}
	r, err := d.settled(ctx, asked.ID, 3*time.Minute, "what has to come of it", func(r releaseRow) bool {
		return r.Status == h.status || slices.Contains(releaseEnds, r.Status)
	})
	if err != nil {
		return "", err
	}
	if r.Status != h.status || !regexp.MustCompile(h.reason).MatchString(r.Reason) {
		return "", fmt.Errorf("it is %s: %q; it had to be %s for %q", r.Status, r.Reason, h.status, h.reason)
	}
	said := strings.TrimSuffix(r.Status+": "+r.Reason, ": ")
	if r.Status == "paused" {
		// A person decides; here, that it goes back.
		if err := d.client.do(ctx, http.MethodPost, d.server.address, "/api/v1/releases/"+r.ID+"/abort", nil, nil); err != nil {
			return "", err
		}
		if r, err = d.ended(ctx, asked.ID); err != nil || r.Status != "rolled-back" {
			return "", fmt.Errorf("aborted it is %s: %s: %w", r.Status, r.Reason, err)
		}
	}
	return said, nil
}

// alone waits until a version answers everybody and, where it is the only one with processes, until those of others are gone.
func (d *desk) alone(ctx context.Context, version int, only bool) error {
	var got, left []int
	var why error
	err := until(ctx, time.Minute, "the version alone", func() bool {
		got, why = d.serves(ctx)
		left = workloadsOf(d)
		return why == nil && slices.Equal(got, []int{version}) && (!only || len(left) == 1)
	})
	if err != nil {
		return fmt.Errorf("%w: versions %v serve, not %d; processes %v: %w", err, got, version, left, why)
	}
	return nil
}
