package ship

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

const watched = `
services:
  web:
    command: [./web]
    ports: {http: ":8080"}
    strategy: {canary: {steps: [{weight: 5, for: 1h}, {weight: 50, pause: true}]}, keep-warm: 1h}
environments:
  - {name: staging, targets: [{agents: [staging]}], services: {web: {strategy: {blue-green: {}, keep-warm: 0s}}}}
  - name: production
`

// TestCommands pauses, resumes, promotes and aborts a release, as a whole and in part.
func TestCommands(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		r.forge.commit(t, "one", watched, map[string]string{"web": "1"})
		first := r.start("one").ID
		r.status(first, Succeeded)
		r.clock.pass(2 * time.Hour)
		r.settled(first)
		r.forge.commit(t, "two", watched, map[string]string{"web": "2"})
		id := r.start("two").ID
		web := func(r Release) *Member { return r.Environment("production").Service("web") }
		at := func(step int) func(Release) bool {
			return func(r Release) bool {
				for _, one := range r.Rollouts {
					if one.Environment == "production" && one.State.Phase == release.Holding && one.State.Step == step {
						return true
					}
				}
				return false
			}
		}
		r.until(id, "its first step", at(0))
		got := r.status(id, Running)
		if may := strings.Join(got.Allows(), " "); may != "pause promote abort" {
			t.Errorf("it allows %s", may)
		}
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Resume}); !errors.Is(err, ErrNotNow) {
			t.Errorf("resumed without a pause: %v", err)
		}
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: "rollback"}); !errors.Is(err, ErrNotNow) {
			t.Errorf("rolled back before its end: %v", err)
		}
		var invalid *InvalidError
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: "dance"}); !errors.As(err, &invalid) {
			t.Errorf("no command: %v", err)
		}
		var unknown *UnknownError
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Pause, Service: "wbe"}); !errors.As(err, &unknown) {
			t.Errorf("no service: %v", err)
		}
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Pause, Environment: "staging"}); !errors.Is(err, ErrNotNow) {
			t.Errorf("nothing is under way there: %v", err)
		}

		// As a whole: the time of the step passes, and it does not go on.
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Pause}); err != nil {
			t.Fatal(err)
		}
		r.status(id, Paused)
		r.clock.pass(2 * time.Hour)
		r.until(id, "the gate", func(r Release) bool { return web(r).Reason == "the release is paused" })
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Resume}); err != nil {
			t.Fatal(err)
		}
		r.until(id, "its second step", at(1))
		// The step waits for a person, and so does the release.
		got = r.until(id, "a wait for a person", func(r Release) bool {
			return r.Status == Paused && r.Reason == "production: web: waits for a person to go on"
		})
		if may := strings.Join(got.Allows(), " "); may != "resume promote abort" {
			t.Errorf("it allows %s", may)
		}
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Resume}); err != nil {
			t.Fatal(err)
		}
		r.status(id, Succeeded)

		// In part: a rollout is paused, promoted and aborted.
		r.forge.commit(t, "three", watched, map[string]string{"web": "3"})
		id = r.start("three").ID
		r.until(id, "its first step", at(0))
		for _, do := range []string{Pause, Promote} {
			if _, err := r.Tell(t.Context(), bo, id, Command{Do: do, Environment: "production", Service: "web"}); err != nil {
				t.Fatal(err)
			}
		}
		r.until(id, "its second step", at(1))
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Abort, Service: "web"}); err != nil {
			t.Fatal(err)
		}
		got = r.settled(id)
		if got.Status != RolledBack || got.Environments[0].Status != Succeeded || got.Environments[1].Status != RolledBack || got.Reason != "production: web: aborted by account:bo" {
			t.Errorf("it is %+v", got)
		}
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Abort}); !errors.Is(err, ErrNotNow) {
			t.Errorf("aborted after its end: %v", err)
		}
		var kinds []string
		var rows []store.Event
		if err := db.NewSelect().Model(&rows).Where("subject = ? AND type LIKE 'release.%'", id).Order("seq").Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range rows {
			kinds = append(kinds, strings.TrimPrefix(e.Type, "release."))
		}
		all := strings.Join(kinds, " ")
		// A way back that is over before the release is looked at again is not seen under way; the rollout's own events have it.
		if !strings.HasPrefix(all, "started building ") || !strings.HasSuffix(all, " rolled-back") || !strings.Contains(all, " running ") {
			t.Errorf("its events are %s", all)
		}
	})
}

// TestAbort ends a release before anything has begun, and one whose first environment is through.
func TestAbort(t *testing.T) {
	r := newRoom(t, storetest.Open(t), nil)
	const file = `
services:
  web: {command: [./web], strategy: {blue-green: {}, keep-warm: 0s}}
environments:
  - {name: staging, targets: [{agents: [staging]}]}
  - {name: production, gates: {approvals: {count: 1}}}
`
	r.forge.commit(t, "one", file, map[string]string{"web": "1"})
	id := r.start("one").ID
	r.until(id, "the gate", func(r Release) bool { return r.Environments[1].Status == Gated })
	if _, err := r.Tell(t.Context(), bo, id, Command{Do: Abort, Environment: "production", Reason: "not now"}); err != nil {
		t.Fatal(err)
	}
	got := r.settled(id)
	if got.Status != Cancelled || got.Reason != "aborted by Bo: not now" || got.Environments[0].Status != Succeeded || got.Environments[1].Status != Cancelled {
		t.Errorf("it is %+v", got)
	}
	if may := strings.Join(got.Allows(), " "); may != "rollback" {
		t.Errorf("it allows %s", may)
	}
	r.forge.commit(t, "two", file, nil)
	r.forge.built["two"] = map[string][]byte{"web": zipped(t, map[string]string{"web": "2"})}
	r.forge.mu.Lock()
	r.forge.runs["run-two"] = &run{commit: "two", looks: -1_000_000}
	r.forge.mu.Unlock()
	id = r.start("two").ID
	r.until(id, "its build", func(r Release) bool { return len(r.Builds) == 1 })
	if _, err := r.Tell(t.Context(), bo, id, Command{Do: Abort}); err != nil {
		t.Fatal(err)
	}
	if got = r.settled(id); got.Status != Cancelled || got.Environments[0].Status != Cancelled || got.Environments[1].Status != Skipped {
		t.Errorf("it is %+v", got)
	}
}
