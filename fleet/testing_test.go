package fleet

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/certs"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/agent/route"
	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// clock is a time that tests set.
type clock struct {
	mu   sync.Mutex
	at   time.Time
	real bool
}

// run has the clock be the machine's from now on.
func (c *clock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.real = true
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real {
		return time.Now()
	}
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// shelf has what the ports give.
type shelf struct {
	mu        sync.Mutex
	configs   map[string]project.Config
	secrets   map[string]string
	artifacts map[string][]byte
}

func (s *shelf) Config(_ context.Context, digest string) (project.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.configs[digest]
	if !ok {
		return c, fmt.Errorf("there is no configuration %s", digest)
	}
	return c, nil
}

func (s *shelf) Secrets(_ context.Context, _, _ string, names []string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]string{}
	for _, n := range names {
		if v, ok := s.secrets[n]; ok {
			found[n] = v
		}
	}
	return found, nil
}

type artifact struct{ *bytes.Reader }

func (artifact) Close() error { return nil }

func (s *shelf) OpenArtifact(_ context.Context, digest string) (io.ReadSeekCloser, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.artifacts[digest]
	if !ok {
		return nil, 0, fmt.Errorf("there is no artifact %s", digest)
	}
	return artifact{bytes.NewReader(b)}, int64(len(b)), nil
}

// put keeps a service's configuration, and returns a candidate of it.
func (s *shelf) put(t testing.TB, name, src, env, service string, build int) release.Candidate {
	t.Helper()
	p, diags := project.Parse("gantry.yaml", []byte(src))
	for _, d := range diags {
		if d.Severity == pipeline.Error {
			t.Fatalf("%v", d)
		}
	}
	c := p.Environment(env).Config(name, service)
	digest, err := c.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configs[digest] = c
	return release.Candidate{Artifact: fmt.Sprintf("sha256:%064x", build), Config: digest}
}

// home is a service with what it needs.
type home struct {
	*Service
	clock *clock
	shelf *shelf
	hosts map[string]*host
}

func open(t testing.TB, db *store.DB) *home {
	t.Helper()
	c := newClock()
	return openAt(t, db, c, t.TempDir())
}

func openAt(t testing.TB, db *store.DB, c *clock, dir string) *home {
	t.Helper()
	authority, err := certs.OpenAuthority(dir, "Gantry", c.now)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(t.Context(), db, engine.Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	h := &home{clock: c, shelf: &shelf{configs: map[string]project.Config{}, secrets: map[string]string{}, artifacts: map[string][]byte{}}, hosts: map[string]*host{}}
	h.Service, err = New(t.Context(), Options{DB: db, Engine: e, Authority: authority, Configs: h.shelf, Secrets: h.shelf, Artifacts: h.shelf, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newKey(t testing.TB) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// host is an agent's host in memory: it does at once what it shall.
type host struct {
	name   string
	labels map[string]string
	boot   string
	seq    int64
	has    agent.Desired
	// sick says of a version why its instances are not well, and how.
	sick    map[string]process.Status
	tasks   map[string]agent.TaskStatus
	traffic map[string]map[string]link.Traffic
	well    map[string]bool
}

// joinHost has a host join and report once.
func (h *home) joinHost(t testing.TB, name string, labels map[string]string) *host {
	t.Helper()
	token, err := h.MakeToken(t.Context(), "account:ann", TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, public := newKey(t)
	if _, err := h.admit(t.Context(), link.Join{Token: token.Token, Name: name, PublicKey: public, Info: link.Info{Labels: labels}}); err != nil {
		t.Fatal(err)
	}
	one := &host{name: name, labels: labels, boot: "b1", sick: map[string]process.Status{}, tasks: map[string]agent.TaskStatus{}, traffic: map[string]map[string]link.Traffic{}}
	h.hosts[name] = one
	h.reportOf(t, one)
	return one
}

// sync has a host take what it shall be, and say so.
func (h *home) sync(t testing.TB, names ...string) {
	t.Helper()
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(h.hosts))
	}
	for _, name := range names {
		one := h.hosts[name]
		row, err := h.row(t.Context(), name, true)
		if err != nil || row == nil {
			t.Fatal(row, err)
		}
		if one.has, err = h.fill(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		h.reportOf(t, one)
	}
}

// reportOf says what a host is.
func (h *home) reportOf(t testing.TB, one *host) {
	t.Helper()
	row, err := h.row(t.Context(), one.name, false)
	if err != nil || row == nil {
		t.Fatal(row, err)
	}
	if err := h.take(t.Context(), row, one.say(h.clock.now())); err != nil {
		t.Fatal(err)
	}
}

func (one *host) say(now time.Time) link.Report {
	one.seq++
	o := agent.Observed{Generation: one.has.Generation, Applied: one.has.Generation, At: now, Problems: map[string]string{}, Weights: map[string]map[string]int{}, Addresses: map[string]string{}, Tasks: one.tasks}
	healthy := map[[2]string]int{}
	for _, i := range one.has.Instances {
		st := process.Status{ID: i.Spec.ID, Labels: map[string]string{"service": i.Service, "version": i.Version}, State: process.Healthy}
		if s, ok := one.sick[i.Version]; ok {
			s.ID, s.Labels = st.ID, st.Labels
			st = s
		}
		if st.State == process.Healthy {
			healthy[[2]string{i.Service, i.Version}]++
		}
		o.Instances = append(o.Instances, st)
	}
	for _, l := range one.has.Listeners {
		o.Addresses[l.Name] = l.Address
	}
	for _, s := range one.has.Services {
		o.Weights[s.Name] = sharesOf(s, func(v string) bool { return healthy[[2]string{s.Of, v}] > 0 })
	}
	return link.Report{Boot: one.boot, Seq: one.seq, Info: link.Info{Labels: one.labels}, Observed: o, Traffic: one.traffic}
}

// sharesOf are the shares that an agent gives: the first version that is healthy has what the others leave.
func sharesOf(s agent.Service, healthy func(string) bool) map[string]int {
	shares := map[string]int{}
	rest, first := route.Whole, ""
	for _, a := range s.Arms {
		if !healthy(a.Version) {
			continue
		}
		if first == "" {
			first = a.Version
			continue
		}
		shares[a.Version] = a.Weight
		rest -= a.Weight
	}
	if first != "" {
		shares[first] = rest
	}
	return shares
}

// record is a rollout at its place.
func record(id, version int64, place release.Place, fresh, old release.Candidate, waves [][]string) release.Record {
	return release.Record{ID: id, Version: version, Place: place, State: release.Rollout{New: fresh, Old: old, Waves: waves, Phase: release.Placing, Strategy: release.Strategy{Kind: release.Canary, Instances: 2}}}
}
