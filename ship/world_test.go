package ship

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/ship/pack"
	"github.com/gantry-ops/gantry/store"
)

var (
	ann = By{Actor: "account:ann", Name: "Ann", Account: "ann"}
	bo  = By{Actor: "account:bo", Name: "Bo", Account: "bo"}
	cy  = By{Actor: "account:cy", Name: "Cy", Account: "cy"}
)

// clock is a time that tests move, and that passes by itself as well: what is tried again later is tried again.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	began time.Time
}

func newClock() *clock { // on a Monday
	return &clock{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), began: time.Now()}
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Add(time.Since(c.began))
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// hosts are a target in memory that becomes at once what is desired.
type hosts struct {
	mu      sync.Mutex
	clock   *clock
	desired map[release.Place]map[string]release.Desired
	known   map[release.Place][2]int64
	// bad are artifacts that never start, stuck ones those that are still starting.
	bad, stuck map[string]bool
	// begun counts the rollouts that each place has seen of a candidate.
	begun map[string]map[int64]bool
}

func newHosts(c *clock) *hosts {
	return &hosts{clock: c, desired: map[release.Place]map[string]release.Desired{}, known: map[release.Place][2]int64{}, bad: map[string]bool{}, stuck: map[string]bool{}, begun: map[string]map[int64]bool{}}
}

func (h *hosts) Apply(_ context.Context, r release.Record, d map[string]release.Desired) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.known[r.Place]; r.ID < k[0] || r.ID == k[0] && r.Version < k[1] {
		return nil
	}
	h.known[r.Place] = [2]int64{r.ID, r.Version}
	h.desired[r.Place] = d
	key := fmt.Sprint(r.Place, r.Release, r.Kind)
	if h.begun[key] == nil {
		h.begun[key] = map[int64]bool{}
	}
	h.begun[key][r.ID] = true
	return nil
}

func (h *hosts) Observe(_ context.Context, r release.Record) (map[string]release.Observed, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]release.Observed{}
	for region, d := range h.desired[r.Place] {
		o := release.Observed{At: h.clock.time(), Healthy: map[release.Candidate]int{}, Running: map[release.Candidate]int{}, Failed: map[release.Candidate]string{},
			Weights: map[release.Candidate]int{}, Requests: map[release.Candidate]int64{}}
		old := d.Old
		old.Instances += d.Baseline
		for _, g := range []release.Group{old, d.New} {
			if g.Candidate.IsZero() || g.Instances == 0 {
				continue
			}
			o.Running[g.Candidate] = g.Instances
			if h.bad[g.Candidate.Artifact] {
				o.Failed[g.Candidate] = "exits at once"
				continue
			}
			if !h.stuck[g.Candidate.Artifact] {
				o.Healthy[g.Candidate] = g.Instances
			}
		}
		o.Weights[d.New.Candidate] = d.Weight
		if !d.Old.Candidate.IsZero() {
			o.Weights[d.Old.Candidate] += release.Whole - d.Weight
		}
		all[region] = o
	}
	return all, nil
}

// Judge passes everything.
func (h *hosts) Judge(context.Context, release.Record) (release.Opinion, error) {
	return release.Opinion{Verdict: analysis.Pass}, nil
}

func (h *hosts) set(m map[string]bool, artifact string, on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m[artifact] = on
}

// has is what a place has in all of its regions.
func (h *hosts) has(t testing.TB, p release.Place) release.Candidate {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []release.Candidate
	for _, d := range h.desired[p] {
		for _, g := range []release.Group{d.Old, d.New} {
			if g.Instances > 0 && !g.Candidate.IsZero() && !slices.Contains(found, g.Candidate) {
				found = append(found, g.Candidate)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %v", p, found)
	}
	return found[0]
}

// forge has commits, and what was built of them.
type forge struct {
	mu    sync.Mutex
	files map[string]fstest.MapFS // by commit
	// artifacts are by commit and name; a run that is started makes those of built, after it was looked at twice.
	artifacts, built map[string]map[string][]byte
	runs             map[string]*run
	starts           map[string]int
	fails            map[string]string // reasons of commits whose runs fail
	quick            map[string]bool   // commits whose runs end right after a look
}

type run struct {
	commit string
	looks  int
}

func newForge() *forge {
	return &forge{files: map[string]fstest.MapFS{}, artifacts: map[string]map[string][]byte{}, built: map[string]map[string][]byte{}, runs: map[string]*run{}, starts: map[string]int{}, fails: map[string]string{}, quick: map[string]bool{}}
}

// commit adds one, whose services are built already with a content each.
func (f *forge) commit(t testing.TB, name, file string, services map[string]string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[name] = fstest.MapFS{project.FileName: {Data: []byte(file)}}
	f.artifacts[name] = map[string][]byte{}
	for service, content := range services {
		f.artifacts[name][service] = zipped(t, map[string]string{service: "#!/bin/sh\n" + content})
	}
}

func zipped(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (f *forge) Resolve(_ context.Context, _, ref string) (string, string, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.files[ref]; !ok {
		return "", "", "", fmt.Errorf("there is no %s", ref)
	}
	return ref, "refs/heads/" + ref, "Change " + ref, nil
}

func (f *forge) Files(_ context.Context, _, commit string) (fs.FS, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files[commit], nil
}

func (f *forge) Find(_ context.Context, _, commit, _, name string) (Artifact, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.artifacts[commit][name]
	return Artifact{Run: "run-" + commit, Name: name, Size: int64(len(b))}, ok, nil
}

func (f *forge) Start(_ context.Context, _, commit, _, pipeline, _, key string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts[key]++
	id := "run-" + commit
	if f.runs[id] == nil {
		f.runs[id] = &run{commit: commit}
	}
	return []string{id}, nil
}

func (f *forge) State(_ context.Context, id string) (bool, bool, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.runs[id]
	if r.looks++; r.looks < 3 {
		// It may end right after it was asked for how it stands.
		if r.looks == 2 && f.quick[r.commit] {
			maps.Copy(f.artifacts[r.commit], f.built[r.commit])
		}
		return false, false, "running", nil
	}
	if why := f.fails[r.commit]; why != "" {
		return true, false, why, nil
	}
	maps.Copy(f.artifacts[r.commit], f.built[r.commit])
	return true, true, "", nil
}

func (f *forge) Open(_ context.Context, a Artifact) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for commit, all := range f.artifacts {
		if b, ok := all[a.Name]; ok && "run-"+commit == a.Run {
			return io.NopCloser(bytes.NewReader(b)), nil
		}
	}
	return nil, errors.New("there is no such artifact")
}

// people have roles.
type people map[string][]string

func (p people) HasRole(_ context.Context, _ string, by By, role string) (bool, error) {
	return slices.Contains(p[by.Account], role), nil
}

// checks are those that have succeeded.
type checks struct {
	mu  sync.Mutex
	all map[string]bool
}

func (c *checks) Checks(_ context.Context, _, _ string, names []string) ([]Required, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Required
	for _, n := range names {
		if ok, known := c.all[n]; known {
			out = append(out, Required{Name: n, OK: ok, Reason: map[bool]string{true: "", false: "failed"}[ok]})
		}
	}
	return out, nil
}

// room is a service with all that it needs, on a database.
type room struct {
	*Service
	t        testing.TB
	db       *store.DB
	blobs    *store.Bucket
	clock    *clock
	hosts    *hosts
	forge    *forge
	people   people
	checks   *checks
	rollouts *release.Service
	stop     func()
}

func newRoom(t testing.TB, db *store.DB, from *room) *room {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &room{t: t, db: db}
	if from != nil {
		r.clock, r.hosts, r.forge, r.people, r.checks, r.blobs = from.clock, from.hosts, from.forge, from.people, from.checks, from.blobs
	} else {
		r.clock, r.forge, r.people, r.checks = newClock(), newForge(), people{}, &checks{all: map[string]bool{}}
		r.hosts = newHosts(r.clock)
		blobs, err := store.OpenBlobs(ctx, "", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { blobs.Close() })
		r.blobs = blobs
	}
	e, err := engine.New(ctx, db, engine.Options{TTL: 400 * time.Millisecond, Poll: 5 * time.Millisecond, Now: r.clock.time})
	if err != nil {
		t.Fatal(err)
	}
	gate := &lateGate{}
	if r.rollouts, err = release.NewService(ctx, release.Options{DB: db, Engine: e, Target: r.hosts, Judge: r.hosts, Gate: gate, Poll: 3 * time.Millisecond, Now: r.clock.time}); err != nil {
		t.Fatal(err)
	}
	r.Service, err = New(ctx, Options{DB: db, Engine: e, Blobs: r.blobs, Rollouts: r.rollouts, Builds: r.forge, Sources: r.forge, Roles: r.people, Checks: r.checks, Poll: 3 * time.Millisecond, Now: r.clock.time})
	if err != nil {
		t.Fatal(err)
	}
	gate.Gate = r.Service
	var wg sync.WaitGroup
	wg.Go(func() { _ = e.Run(ctx) })
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(r.stop)
	return r
}

// lateGate is set once what it leads to is there, which needs the rollouts that need it.
type lateGate struct{ release.Gate }

func (r *room) start(ref string, environments ...string) Release {
	r.t.Helper()
	got, err := r.Start(context.Background(), ann, Request{Project: "shop", Ref: ref, Environments: environments})
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *room) until(id, what string, ok func(Release) bool) Release {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(lateness); ; {
		got, err := r.Release(context.Background(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		if ok(got) {
			return got
		}
		select {
		case <-tick.C:
		case <-late:
			r.t.Fatalf("release %s never came to %s: %+v", id, what, got)
		}
	}
}

func (r *room) status(id string, want Status) Release {
	r.t.Helper()
	return r.until(id, string(want), func(r Release) bool { return r.Status == want || r.Status.Ended() && want == "" })
}

// settled waits until nothing of a release is watched any more.
func (r *room) settled(id string) Release {
	r.t.Helper()
	r.until(id, "rest", func(Release) bool {
		n, _ := number(id)
		one, err := r.read(context.Background(), r.db, n)
		if err != nil {
			r.t.Fatal(err)
		}
		return one.settled
	})
	got, err := r.Release(context.Background(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func place(service, environment string) release.Place {
	return release.Place{Project: "shop", Service: service, Environment: environment}
}

// artifact is the digest that a service of a release has.
func artifact(t testing.TB, r Release, service string) string {
	t.Helper()
	c, ok := r.candidate(service)
	if !ok {
		t.Fatalf("the release %s has no candidate of %s: %+v", r.ID, service, r)
	}
	return c.Artifact
}

// lateness is when a test gives up to wait: long enough for a slow machine.
const lateness = 2 * time.Minute

// candidateOf is the digest that a service with a content is released as.
func candidateOf(t testing.TB, service, content string) string {
	t.Helper()
	archive := zipped(t, map[string]string{service: "#!/bin/sh\n" + content})
	p, err := pack.Open(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	if err := p.Write(context.Background(), sum); err != nil {
		t.Fatal(err)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}
