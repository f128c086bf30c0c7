package ship

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestBuild has what is missing built, once, and fails with the reason where that fails.
func TestBuild(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		r.forge.commit(t, "one", shop, map[string]string{"ledger": "1"})
		r.forge.built["one"] = map[string][]byte{"web": zipped(t, map[string]string{"web": "#!/bin/sh\n1"})}
		id := r.start("one").ID
		got := r.settled(id)
		if got.Status != Succeeded || len(got.Builds) != 1 || got.Builds[0] != (Build{Run: "run-one", Status: Succeeded}) || len(got.Candidates) != 2 || got.Candidates[0].Service != "ledger" {
			t.Errorf("it is %+v", got)
		}
		r.forge.mu.Lock()
		if r.forge.starts[id+"/"] != 1 {
			t.Errorf("it was started %v", r.forge.starts)
		}
		r.forge.mu.Unlock()

		// Its run ends between two looks: the candidate is found before anybody has asked how the run stands.
		r.forge.commit(t, "quick", shop, map[string]string{"ledger": "1"})
		r.forge.built["quick"], r.forge.quick["quick"] = map[string][]byte{"web": zipped(t, map[string]string{"web": "#!/bin/sh\n1"})}, true
		if got = r.settled(r.start("quick").ID); len(got.Builds) != 1 || got.Builds[0] != (Build{Run: "run-quick", Status: Succeeded}) {
			t.Errorf("it is %+v", got)
		}

		r.forge.commit(t, "two", shop, map[string]string{"ledger": "2"})
		r.forge.fails["two"] = "the job test failed"
		got = r.settled(r.start("two").ID)
		if got.Status != Failed || !strings.HasSuffix(got.Reason, "the run run-two that makes it failed: the job test failed") || got.Environments[0].Status != Skipped {
			t.Errorf("it is %+v", got)
		}
		r.forge.commit(t, "three", shop, map[string]string{"ledger": "3"})
		got = r.settled(r.start("three").ID)
		if got.Status != Failed || !strings.HasSuffix(got.Reason, "the run run-three succeeded and left no artifact web") {
			t.Errorf("it is %+v", got)
		}
		r.forge.commit(t, "four", shop, map[string]string{"ledger": "4"})
		r.forge.artifacts["four"]["web"] = []byte("PK\x03\x04 but no archive")
		got = r.settled(r.start("four").ID)
		if got.Status != Failed || !strings.Contains(got.Reason, "as a zip archive it is broken") {
			t.Errorf("it is %+v", got)
		}
	})
}

// TestStart refuses what cannot be released, at its place, and returns the same release for a key.
func TestStart(t *testing.T) {
	r := newRoom(t, storetest.Open(t), nil)
	r.forge.commit(t, "one", shop, map[string]string{"ledger": "1", "web": "1"})
	r.forge.commit(t, "bad", strings.ReplaceAll(shop, "command: [./web]", "comand: [./web]"), nil)
	const regions = `
services:
  web: {command: [./web], strategy: rolling}
environments:
  - name: production
    regions: [east, {name: west, services: {web: {strategy: {rolling: {batch: 2}}, instances: 2}}}]
`
	r.forge.commit(t, "regions", regions, nil)
	r.forge.commit(t, "none", "", nil)
	delete(r.forge.files["none"], "gantry.yaml")
	start := func(q Request) (Release, error) {
		if q.Project == "" {
			q.Project = "shop"
		}
		return r.Start(t.Context(), ann, q)
	}
	var file *FileError
	var diags *pipeline.DiagnosticError
	if _, err := start(Request{Ref: "bad"}); !errors.As(err, &file) || !errors.As(err, &diags) || !diags.Diagnostics.HasErrors() || len(file.Source["gantry.yaml"]) == 0 {
		t.Errorf("a bad file: %v", err)
	}
	if _, err := start(Request{Ref: "regions"}); !errors.As(err, &file) || !strings.Contains(err.Error(), "gantry.yaml:3:3: error: web in production is to be released differently in the regions east and west (strategy)") {
		t.Errorf("regions that differ: %v", err)
	}
	if _, err := start(Request{Ref: "none"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("without a file: %v", err)
	}
	var unknown *UnknownError
	if _, err := start(Request{Ref: "one", Environments: []string{"stagin"}}); !errors.As(err, &unknown) || err.Error() != `there is no environment "stagin"; there is staging, production` {
		t.Errorf("an unknown environment: %v", err)
	}
	if _, err := start(Request{Ref: "one", Services: []string{"wbe"}}); !errors.As(err, &unknown) || err.Error() != `there is no service "wbe"; there is ledger, web` {
		t.Errorf("an unknown service: %v", err)
	}
	var invalid *InvalidError
	if _, err := start(Request{Ref: "one", Key: strings.Repeat("x", 500)}); !errors.As(err, &invalid) {
		t.Errorf("a long key: %v", err)
	}
	if _, err := r.Start(t.Context(), By{}, Request{Project: "shop", Ref: "one"}); !errors.As(err, &invalid) {
		t.Errorf("nobody: %v", err)
	}
	one, err := start(Request{Ref: "one", Environments: []string{"production", "staging", "staging"}, Key: "k"})
	if err != nil || one.Environments[0].Name != "staging" || len(one.Environments) != 2 {
		t.Fatalf("it is %+v, %v", one, err)
	}
	if again, err := start(Request{Ref: "bad", Key: "k"}); err != nil || again.ID != one.ID {
		t.Errorf("again it is %+v, %v", again, err)
	}
	r.settled(one.ID)
	if _, err := r.Release(t.Context(), "17"); !errors.Is(err, ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	list, err := r.Releases(t.Context(), Query{Projects: []string{"shop"}, Environment: "staging", Service: "web", Status: []Status{Succeeded}})
	if err != nil || len(list.Items) != 1 || list.Next != "" {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if list, err = r.Releases(t.Context(), Query{Service: "ledgers"}); err != nil || len(list.Items) != 0 {
		t.Errorf("the list is %+v, %v", list, err)
	}
}

// TestKept keeps what was built after its run is gone, and takes away what nobody needs.
func TestKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		var digests []string
		for i := range keepLast + 3 {
			v := string(rune('a' + i))
			r.forge.commit(t, v, shop, map[string]string{"ledger": v, "web": v})
			digests = append(digests, artifact(t, r.settled(r.start(v, "staging").ID), "web"))
		}
		r.forge.commit(t, "keep", shop, map[string]string{"ledger": "keep", "web": "a"})
		old := r.settled(r.start("keep", "production").ID)
		if artifact(t, old, "web") != digests[0] {
			t.Error("the same content is another candidate")
		}
		for _, service := range []string{"ledger", "web"} {
			config, err := r.Config(t.Context(), old.Environments[0].Service(service).Config)
			if err != nil || config.Service != service || len(config.Placements) != 3 {
				t.Errorf("the configuration of %s is %+v, %v", service, config, err)
			}
			if digest, err := config.Digest(); err != nil || digest != old.Environments[0].Service(service).Config {
				t.Errorf("it is of another digest, %s", digest)
			}
		}
		r.stop()
		r = newRoom(t, storetest.Again(t, db), r)
		err := r.db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return r.o.Engine.Put(ctx, tx, kindSweep, kindSweep, r.clock.time())
		})
		if err != nil {
			t.Fatal(err)
		}
		r.until(old.ID, "a sweep", func(Release) bool {
			b, _, err := r.OpenArtifact(t.Context(), digests[2])
			if err == nil {
				b.Close()
			}
			return errors.Is(err, ErrNotFound)
		})
		for i, digest := range digests {
			b, size, err := r.OpenArtifact(t.Context(), digest)
			// The first is placed in production; the last ones are kept for their number.
			if kept := i == 0 || i > 3; kept != (err == nil) {
				t.Errorf("candidate %d: %v", i, err)
			}
			if err == nil {
				got, err := io.ReadAll(b)
				if b.Close(); err != nil || int64(len(got)) != size {
					t.Errorf("it has %d of %d bytes, %v", len(got), size, err)
				}
			}
		}
	})
}
