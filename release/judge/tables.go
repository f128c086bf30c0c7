package judge

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
)

// migrations of the room. A rollout's state is one row that each look rewrites; looks leave it in chunks that are written once.
var migrations = []store.Migration{{
	Name: "0001 judgements",
	SQL: `
CREATE TABLE judged_rollouts (
	rollout BIGINT NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL,
	state $JSON NOT NULL
);
CREATE TABLE judged_scrapes (
	rollout BIGINT NOT NULL,
	chunk BIGINT NOT NULL,
	until BIGINT NOT NULL,
	scrapes $JSON NOT NULL,
	PRIMARY KEY (rollout, chunk)
);
CREATE TABLE judgements (
	id $SERIAL,
	rollout BIGINT NOT NULL,
	wave BIGINT NOT NULL,
	step BIGINT NOT NULL,
	weight BIGINT NOT NULL,
	phase TEXT NOT NULL,
	kind TEXT NOT NULL,
	verdict TEXT NOT NULL,
	reason TEXT NOT NULL,
	at BIGINT NOT NULL,
	hash TEXT NOT NULL,
	results $JSON NOT NULL,
	record $JSON NOT NULL
);
CREATE INDEX judgements_by_rollout ON judgements (rollout, id);
`,
}}

// chunkScrapes is how many looks a chunk has: a state with as many is rewritten by each look, so it is small.
const chunkScrapes = 30

// chunk is a part of a rollout's looks.
type chunk struct {
	Wave int `json:"wave"`
	// Start is where the watch stood before the first of Scrapes; nil is its beginning.
	Start   *analysis.State `json:"start,omitempty"`
	Scrapes []scrape        `json:"scrapes,omitempty"`
}

// state is all that is known of a rollout.
type state struct {
	Plan plan `json:"plan"`
	Wave int  `json:"wave"`
	// At is the last look's time.
	At    time.Time       `json:"at"`
	Last  map[string]last `json:"last,omitempty"`
	Watch *analysis.State `json:"watch,omitempty"`
	// Open is the chunk that grows, Chunks how many are full.
	Open   chunk `json:"open"`
	Chunks int64 `json:"chunks"`
	// Past is what the old version served in this wave.
	Past window  `json:"past"`
	Step stepped `json:"step"`
	// Failed is what the watch, or a look after the steps, has failed by; it stays for the wave.
	Failed *release.Opinion `json:"failed,omitempty"`
}

// stepped is where the judgement of a phase is.
type stepped struct {
	Phase release.Phase `json:"phase"`
	Wave  int           `json:"wave"`
	Step  int           `json:"step"`
	Since time.Time     `json:"since"`
	// Begin is the first Since that its samples are of: a step that was watched again has those of before, if measuring worked.
	Begin time.Time `json:"begin"`
	// Opinion is the verdict, once there is one.
	Opinion *release.Opinion `json:"opinion,omitempty"`
	// Looks are those after the steps.
	Looks int `json:"looks,omitempty"`
}

// errReplaced: another judge has gone on with the rollout.
var errReplaced = errors.New("another judge has gone on with the rollout")

// loaded is a state with the version of its row; 0 is no row yet.
type loaded struct {
	state
	version int64
}

func (s *Service) load(ctx context.Context, rollout int64) (*loaded, error) {
	var row struct {
		Version int64
		State   store.JSON[state]
	}
	err := s.o.DB.NewSelect().Table("judged_rollouts").Column("version", "state").Where("rollout = ?", rollout).Scan(ctx, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return &loaded{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was seen of the rollout %d: %w", rollout, err)
	}
	return &loaded{state: row.State.V, version: row.Version}, nil
}

// save stores a state, where it is still the one that was read, with the judgements that came of it.
func (s *Service) save(ctx context.Context, r release.Record, l *loaded, full *chunk, made []Judgement) error {
	b, err := json.Marshal(l.state)
	if err != nil {
		return fmt.Errorf("write what was seen of the rollout %d: %w", r.ID, err)
	}
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		var res sql.Result
		var err error
		if l.version == 0 {
			res, err = tx.ExecContext(ctx, `INSERT INTO judged_rollouts (rollout, version, state) VALUES (?, 1, ?) ON CONFLICT (rollout) DO NOTHING`, r.ID, string(b))
		} else {
			res, err = tx.ExecContext(ctx, `UPDATE judged_rollouts SET version = version + 1, state = ? WHERE rollout = ? AND version = ?`, string(b), r.ID, l.version)
		}
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(errReplaced, err)
		}
		if full != nil {
			text, err := json.Marshal(full)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO judged_scrapes (rollout, chunk, until, scrapes) VALUES (?, ?, ?, ?)`,
				r.ID, l.Chunks-1, store.At(full.Scrapes[len(full.Scrapes)-1].At), string(text)); err != nil {
				return err
			}
		}
		for i := range made {
			row := made[i].row()
			if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
				return err
			}
			err := tx.Append(store.Event{Type: "rollout.judged", Project: r.Project, Subject: fmt.Sprint(r.ID), Actor: "gantry"}, map[string]any{
				"service": r.Service, "environment": r.Environment, "release": r.Release, "judgement": row.ID, "kind": row.Kind, "wave": row.Wave, "step": row.Step,
				"phase": row.Phase, "verdict": row.Verdict, "reason": row.Reason,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store what was seen of the rollout %d: %w", r.ID, err)
	}
	l.version++
	return nil
}

// chunks reads the full chunks of a rollout from a number on, with the one that grows; with a time, only those that end after it.
func (s *Service) chunks(ctx context.Context, rollout int64, l *loaded, from int64, after time.Time) ([]chunk, error) {
	var rows []struct{ Scrapes store.JSON[chunk] }
	q := s.o.DB.NewSelect().Table("judged_scrapes").Column("scrapes").Where("rollout = ? AND chunk >= ? AND chunk < ?", rollout, from, l.Chunks).Order("chunk")
	if !after.IsZero() {
		q = q.Where("until >= ?", store.At(after))
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, fmt.Errorf("read what was seen of the rollout %d: %w", rollout, err)
	}
	all := make([]chunk, 0, len(rows)+1)
	for _, r := range rows {
		all = append(all, r.Scrapes.V)
	}
	if len(l.Open.Scrapes) > 0 {
		all = append(all, l.Open)
	}
	return all, nil
}

// judgementRow is a judgement as it is stored.
type judgementRow struct {
	bun.BaseModel `bun:"table:judgements"`

	ID      int64 `bun:",pk,autoincrement"`
	Rollout int64
	Wave    int
	Step    int
	Weight  int
	Phase   string
	Kind    string
	Verdict string
	Reason  string
	At      store.Time
	Hash    string
	Results store.JSON[[]analysis.Result]
	Record  store.JSON[*analysis.Record]
}
