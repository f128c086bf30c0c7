package api

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gantry-ops/gantry/agent/certs"
	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/fleet"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/ship"
	"github.com/gantry-ops/gantry/store"
)

// shopYAML is the gantry.yaml of every commit: one environment that waits for nobody, and one that waits for an approval.
const shopYAML = `services:
  web: {command: [./web], ports: {http: {}}, health: none}
environments:
  - name: staging
  - name: production
    gates: {approvals: 1}
`

// shipped is a dummy of a release's sources and builds: every commit has shopYAML, or what a test has put in its place, and its candidate is built already.
type shipped struct{ yaml string }

func (s *shipped) Resolve(_ context.Context, _, ref string) (commit, full, title string, err error) {
	if ref == "nowhere" {
		return "", "", "", ship.ErrNotFound
	}
	return treeSHA, "refs/heads/main", "Change things", nil
}

func (s *shipped) Files(context.Context, string, string) (fs.FS, error) {
	return fstest.MapFS{project.FileName: {Data: []byte(s.yaml)}}, nil
}

func (s *shipped) Find(context.Context, string, string, string, string) (ship.Artifact, bool, error) {
	return ship.Artifact{Run: "1", Name: "web", Size: 22, Digest: "sha256:00"}, true, nil
}

func (s *shipped) Start(context.Context, string, string, string, string, string, string) ([]string, error) {
	return nil, nil
}

func (s *shipped) State(context.Context, string) (ended, ok bool, reason string, err error) {
	return true, true, "", nil
}

// Open gives an archive with one script.
func (s *shipped) Open(context.Context, ship.Artifact) (io.ReadCloser, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("web")
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(f, "#!/bin/sh\nsleep 1000\n"); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), z.Close()
}

// openReleases gives a server the rooms of releases.
func openReleases(ctx context.Context, t testing.TB, db *store.DB, e *engine.Engine, log *slog.Logger, o *Options) (*shipped, error) {
	t.Helper()
	authority, err := certs.OpenAuthority(t.TempDir(), "test", nil)
	if err != nil {
		return nil, err
	}
	blobs, err := store.OpenBlobs(ctx, "", t.TempDir())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := blobs.Close(); err != nil {
			t.Error(err)
		}
	})
	later := &laterShip{}
	if o.Fleet, err = fleet.New(ctx, fleet.Options{DB: db, Engine: e, Authority: authority, Configs: later, Artifacts: later, Log: log}); err != nil {
		return nil, err
	}
	if o.Rollouts, err = release.NewService(ctx, release.Options{DB: db, Engine: e, Target: o.Fleet, Task: o.Fleet, Log: log}); err != nil {
		return nil, err
	}
	if o.Judge, err = judge.New(ctx, judge.Options{DB: db, Configs: later, Samples: noSamples{}, Queries: noSamples{}, Log: log}); err != nil {
		return nil, err
	}
	s := &shipped{yaml: shopYAML}
	o.Ship, err = ship.New(ctx, ship.Options{DB: db, Engine: e, Blobs: blobs, Rollouts: o.Rollouts, Builds: s, Sources: s, Log: log})
	later.Service = o.Ship
	return s, err
}

// laterShip stands for the releases in rooms that are made before them.
type laterShip struct{ *ship.Service }

// noSamples has nothing to judge by.
type noSamples struct{}

func (noSamples) Counters(context.Context, release.Place) (map[string][]judge.Counters, error) {
	return nil, nil
}

func (noSamples) Past(context.Context, release.Place) (map[string][]judge.Trail, error) {
	return nil, nil
}

func (noSamples) Trouble(context.Context, release.Place, string) string { return "" }

func (noSamples) Value(context.Context, string, time.Time) ([]float64, error) { return nil, nil }
