package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// migrations of the room. Of one service in one environment at most one rollout is under way; the index holds what the code promises.
var migrations = []store.Migration{{
	Name: "0001 rollouts",
	SQL: `
CREATE TABLE rollouts (
	id $SERIAL,
	project TEXT NOT NULL,
	service TEXT NOT NULL,
	environment TEXT NOT NULL,
	release TEXT NOT NULL,
	kind TEXT NOT NULL,
	actor TEXT NOT NULL,
	queued BOOLEAN NOT NULL,
	ended BOOLEAN NOT NULL,
	version BIGINT NOT NULL,
	state $JSON NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX rollouts_by_place ON rollouts (project, service, environment, id);
CREATE UNIQUE INDEX rollouts_under_way ON rollouts (project, service, environment) WHERE NOT queued AND NOT ended;
CREATE UNIQUE INDEX rollouts_by_release ON rollouts (release, project, service, environment, kind) WHERE release <> '';
CREATE TABLE rollout_looks (
	rollout BIGINT NOT NULL PRIMARY KEY,
	at BIGINT NOT NULL,
	regions $JSON NOT NULL
);
CREATE TABLE released (
	project TEXT NOT NULL,
	service TEXT NOT NULL,
	environment TEXT NOT NULL,
	artifact TEXT NOT NULL,
	config TEXT NOT NULL,
	rollout BIGINT NOT NULL,
	since BIGINT NOT NULL,
	PRIMARY KEY (project, service, environment)
);
`,
}}

// Place is where rollouts follow each other: one at a time.
type Place struct {
	Project     string `json:"project"`
	Service     string `json:"service"`
	Environment string `json:"environment"`
}

func (p Place) String() string { return p.Service + " in " + p.Environment }

// row is a rollout as it is stored.
type row struct {
	bun.BaseModel `bun:"table:rollouts"`

	ID          int64 `bun:",pk,autoincrement"`
	Project     string
	Service     string
	Environment string
	Release     string
	Kind        string
	Actor       string
	// Queued waits for the one before it.
	Queued bool
	Ended  bool
	// Version grows with each change: who has read an older one changes nothing.
	Version   int64
	State     store.JSON[Rollout]
	CreatedAt store.Time
	UpdatedAt store.Time
}

// Record is a rollout with what is known of it beside its state.
type Record struct {
	ID int64 `json:"id"`
	Place
	// Release is what the rollout belongs to, in the caller's words.
	Release string `json:"release,omitempty"`
	// Kind is what it is in its release, in the caller's words; empty for the first one at a place.
	Kind string `json:"kind,omitempty"`
	// Actor is who began it.
	Actor string `json:"actor"`
	// Queued waits for an earlier rollout at the same place.
	Queued    bool       `json:"queued,omitempty"`
	State     Rollout    `json:"state"`
	CreatedAt store.Time `json:"created_at"`
	UpdatedAt store.Time `json:"updated_at"`
	// Version grows with each change. A target remembers it, and refuses what an older one asks for: whoever that comes from has lost its lease.
	Version int64 `json:"version"`
}

func (r *row) record() Record {
	return Record{ID: r.ID, Place: Place{r.Project, r.Service, r.Environment}, Release: r.Release, Kind: r.Kind, Actor: r.Actor, Queued: r.Queued, State: r.State.V,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version}
}

// ErrNotFound: there is no such rollout.
var ErrNotFound = errors.New("there is no such rollout")

// errChanged: somebody else has changed the rollout since it was read.
var errChanged = errors.New("the rollout has changed meanwhile")

func read(ctx context.Context, db bun.IDB, id int64) (Record, error) {
	var r row
	err := db.NewSelect().Model(&r).Where("id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, fmt.Errorf("rollout %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read the rollout %d: %w", id, err)
	}
	return r.record(), nil
}

// write stores what a rollout has become. It fails with errChanged when it is not as it was read.
func write(ctx context.Context, tx *store.Tx, r *Record) error {
	res, err := tx.NewUpdate().Table("rollouts").Set("state = ?", store.JSON[Rollout]{V: r.State}).Set("queued = ?", r.Queued).Set("ended = ?", r.State.Phase.Ended()).
		Set("version = version + 1").Set("updated_at = ?", store.At(tx.Now())).Where("id = ? AND version = ?", r.ID, r.Version).Exec(ctx)
	if err != nil {
		return fmt.Errorf("store the rollout %d: %w", r.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errChanged, err)
	}
	return nil
}

// released is what a place has now; zero where nothing was released yet.
func released(ctx context.Context, db bun.IDB, p Place) (Candidate, error) {
	var c []struct{ Artifact, Config string }
	err := db.NewSelect().Table("released").Column("artifact", "config").Where("project = ? AND service = ? AND environment = ?", p.Project, p.Service, p.Environment).Scan(ctx, &c)
	if err != nil {
		return Candidate{}, fmt.Errorf("read what is released of %s: %w", p, err)
	}
	if len(c) == 0 {
		return Candidate{}, nil
	}
	return Candidate{c[0].Artifact, c[0].Config}, nil
}

// setReleased remembers what a rollout has brought to a place.
func setReleased(ctx context.Context, tx *store.Tx, r *Record) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO released (project, service, environment, artifact, config, rollout, since) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, service, environment) DO UPDATE SET
			artifact = excluded.artifact, config = excluded.config, rollout = excluded.rollout, since = excluded.since`,
		r.Project, r.Service, r.Environment, r.State.New.Artifact, r.State.New.Config, r.ID, store.At(tx.Now()))
	if err != nil {
		return fmt.Errorf("store what is released of %s: %w", r.Place, err)
	}
	return nil
}
