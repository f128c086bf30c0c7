package ship

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// migrations of the room. A release is one document that is changed as a whole; release_parts has what is asked for across releases.
var migrations = []store.Migration{{
	Name: "0001 releases",
	SQL: `
CREATE TABLE releases (
	id $SERIAL,
	project TEXT NOT NULL,
	number BIGINT NOT NULL,
	asked TEXT NOT NULL,
	status TEXT NOT NULL,
	settled BOOLEAN NOT NULL,
	version BIGINT NOT NULL,
	plan $JSON NOT NULL,
	state $JSON NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX releases_by_number ON releases (project, number);
CREATE UNIQUE INDEX releases_by_key ON releases (project, asked) WHERE asked <> '';
CREATE TABLE release_numbers (
	project TEXT NOT NULL PRIMARY KEY,
	last BIGINT NOT NULL
);
CREATE TABLE release_parts (
	release BIGINT NOT NULL,
	project TEXT NOT NULL,
	environment TEXT NOT NULL,
	service TEXT NOT NULL,
	begun BOOLEAN NOT NULL,
	done BOOLEAN NOT NULL,
	PRIMARY KEY (release, environment, service)
);
CREATE INDEX release_parts_by_place ON release_parts (project, environment, service, release);
CREATE TABLE ship_configs (
	digest TEXT NOT NULL PRIMARY KEY,
	document $JSON NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE TABLE ship_migrated (
	project TEXT NOT NULL,
	environment TEXT NOT NULL,
	service TEXT NOT NULL,
	name TEXT NOT NULL,
	rollout BIGINT NOT NULL,
	PRIMARY KEY (project, environment, service, name)
);
CREATE TABLE candidates (
	digest TEXT NOT NULL PRIMARY KEY,
	blob TEXT NOT NULL,
	size BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE TABLE candidate_uses (
	digest TEXT NOT NULL,
	project TEXT NOT NULL,
	service TEXT NOT NULL,
	release BIGINT NOT NULL,
	PRIMARY KEY (project, service, release, digest)
);
CREATE INDEX candidate_uses_by_digest ON candidate_uses (digest);
`,
}}

// row is a release as it is stored.
type row struct {
	bun.BaseModel `bun:"table:releases"`

	ID      int64 `bun:",pk,autoincrement"`
	Project string
	Number  int64
	// Asked is the caller's key.
	Asked  string
	Status Status
	// Settled is set when nothing is watched any more.
	Settled   bool
	Version   int64
	Plan      store.JSON[*plan]
	State     store.JSON[state]
	CreatedAt store.Time
	UpdatedAt store.Time
}

// state is what is stored of a release and changes: what is shown, and what is decided by and not shown.
type state struct {
	Release Release `json:"release"`
	// Account is who started it, as [By.person] says it.
	Account string `json:"account"`
	// Held is set while the release as a whole is paused.
	Held bool `json:"held,omitempty"`
	// Stop says why it ends early: a person's abort, a newer release.
	Stop string `json:"stop,omitempty"`
	// StopBy is who did.
	StopBy string `json:"stop_by,omitempty"`
	// Taken is the release that takes this one back, and that looks after its rollouts from then on.
	Taken string `json:"taken,omitempty"`
	// Parts are by environment.
	Parts map[string]*part `json:"parts"`
}

// part is what is decided by in an environment.
type part struct {
	Decisions []decision `json:"decisions,omitempty"`
	// Begun is set when the gates have been passed, Back when it goes back, and why.
	Begun bool   `json:"begun,omitempty"`
	Back  string `json:"back,omitempty"`
	// Services are those of which something was decided.
	Services map[string]*share `json:"services,omitempty"`
}

// share is what was decided about a service: each decision is stored before it is acted on.
type share struct {
	// Begin and Return ask for rollouts that take the candidate there, and back.
	Begin  bool `json:"begin,omitempty"`
	Return bool `json:"return,omitempty"`
	// Expand and Contract are migrations that have not run there yet.
	Expand   []string `json:"expand,omitempty"`
	Contract []string `json:"contract,omitempty"`
	// Undo is the rollout that a rollback takes back by aborting it.
	Undo int64 `json:"undo,omitempty"`
	// Abort has been asked of the rollout.
	Abort bool `json:"abort,omitempty"`
	// Stays says why it does not go back with the others.
	Stays string `json:"stays,omitempty"`
}

// record is a release as it was read.
type record struct {
	id      int64
	version int64
	settled bool
	plan    *plan
	state
}

func (r *record) key() string { return strconv.FormatInt(r.id, 10) }

func (r *record) part(environment string) *part {
	p := r.Parts[environment]
	if p == nil {
		p = &part{}
		r.Parts[environment] = p
	}
	if p.Services == nil {
		p.Services = map[string]*share{}
	}
	return p
}

func (p *part) share(service string) *share {
	c := p.Services[service]
	if c == nil {
		c = &share{}
		p.Services[service] = c
	}
	return c
}

// errChanged: somebody else has changed the release since it was read.
var errChanged = errors.New("the release has changed meanwhile")

func number(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("the release %.40q: %w", id, ErrNotFound)
	}
	return n, nil
}

// read reads a release.
func (s *Service) read(ctx context.Context, db bun.IDB, id int64) (*record, error) {
	var r row
	s.mu.Lock()
	known := s.plans[id]
	s.mu.Unlock()
	sel := db.NewSelect().Model(&r).Where("id = ?", id)
	if known != nil {
		sel = sel.ExcludeColumn("plan")
	}
	err := sel.Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("the release %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read the release %d: %w", id, err)
	}
	if known == nil {
		known = r.Plan.V
		s.mu.Lock()
		s.plans[id] = known
		s.mu.Unlock()
	}
	return r.record(known), nil
}

func (r *row) record(p *plan) *record {
	one := &record{id: r.ID, version: r.Version, settled: r.Settled, plan: p, state: r.State.V}
	one.shown(r)
	if one.Parts == nil {
		one.Parts = map[string]*part{}
	}
	return one
}

// shown adds what the row knows beside its document.
func (c *record) shown(r *row) {
	c.Release.ID, c.Release.Number = strconv.FormatInt(r.ID, 10), int(r.Number)
	c.Release.CreatedAt, c.Release.UpdatedAt = r.CreatedAt, r.UpdatedAt
}

// write stores what a release has become. It fails with errChanged when it is not as it was read.
func (s *Service) write(ctx context.Context, tx *store.Tx, r *record) error {
	res, err := tx.NewUpdate().Table("releases").Set("state = ?", store.AsJSON(r.state)).Set("status = ?", r.Release.Status).Set("settled = ?", r.settled).
		Set("version = version + 1").Set("updated_at = ?", store.At(tx.Now())).Where("id = ? AND version = ?", r.id, r.version).Exec(ctx)
	if err != nil {
		return fmt.Errorf("store the release %d: %w", r.id, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errChanged, err)
	}
	for _, e := range r.Release.Environments {
		if _, err := tx.ExecContext(ctx, "UPDATE release_parts SET begun = ?, done = ? WHERE release = ? AND environment = ? AND (begun <> ? OR done <> ?)",
			r.part(e.Name).Begun, e.Status.Ended(), r.id, e.Name, r.part(e.Name).Begun, e.Status.Ended()); err != nil {
			return fmt.Errorf("store the release %d: %w", r.id, err)
		}
	}
	return nil
}
