package judge

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
)

// ErrNotFound: there is no such judgement, or nothing was watched of the rollout.
var ErrNotFound = errors.New("there is no such judgement")

// Kind says what a judgement was made of.
type Kind string

const (
	// WatchKind is the sequential test of each look, and the looks after the steps: its judgements are failures.
	WatchKind Kind = "watch"
	// StepKind is of all samples of a step.
	StepKind Kind = "step"
)

// Judgement is what was said of a rollout. It is never changed.
type Judgement struct {
	ID      int64 `json:"id"`
	Rollout int64 `json:"rollout"`
	Wave    int   `json:"wave"`
	Step    int   `json:"step"`
	// Weight is the new version's share of the traffic in ten-thousandths.
	Weight  int               `json:"weight"`
	Phase   release.Phase     `json:"phase"`
	Kind    Kind              `json:"kind"`
	Verdict analysis.Verdict  `json:"verdict"`
	Reason  string            `json:"reason"`
	At      store.Time        `json:"at"`
	Results []analysis.Result `json:"results"`
	// Hash is that of the configuration that it was judged by.
	Hash string `json:"hash"`
	// Record has all samples; only where one judgement is asked for.
	Record *analysis.Record `json:"record,omitempty"`
}

func (j *Judgement) row() *judgementRow {
	return &judgementRow{Rollout: j.Rollout, Wave: j.Wave, Step: j.Step, Weight: j.Weight, Phase: string(j.Phase), Kind: string(j.Kind), Verdict: string(j.Verdict),
		Reason: j.Reason, At: j.At, Hash: j.Hash, Results: store.AsJSON(j.Results), Record: store.AsJSON(j.Record)}
}

func (r *judgementRow) judgement() Judgement {
	results := r.Results.V
	if results == nil {
		results = []analysis.Result{}
	}
	return Judgement{ID: r.ID, Rollout: r.Rollout, Wave: r.Wave, Step: r.Step, Weight: r.Weight, Phase: release.Phase(r.Phase), Kind: Kind(r.Kind),
		Verdict: analysis.Verdict(r.Verdict), Reason: r.Reason, At: r.At, Hash: r.Hash, Results: results, Record: r.Record.V}
}

// Judgements are those of a rollout, the oldest first, without their records.
func (s *Service) Judgements(ctx context.Context, rollout int64) ([]Judgement, error) {
	var rows []judgementRow
	if err := s.o.DB.NewSelect().Model(&rows).ExcludeColumn("record").Where("rollout = ?", rollout).Order("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list the judgements of the rollout %d: %w", rollout, err)
	}
	all := make([]Judgement, len(rows))
	for i := range rows {
		all[i] = rows[i].judgement()
	}
	return all, nil
}

// Judgement is one with its record, or [ErrNotFound].
func (s *Service) Judgement(ctx context.Context, id int64) (Judgement, error) {
	var row judgementRow
	err := s.o.DB.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return Judgement{}, fmt.Errorf("judgement %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Judgement{}, fmt.Errorf("read the judgement %d: %w", id, err)
	}
	return row.judgement(), nil
}

// Explanation is a judgement in words.
type Explanation struct {
	Text string `json:"text"`
	// Verified says that the record's samples were judged again now, and gave the same.
	Verified bool             `json:"verified"`
	Verdict  analysis.Verdict `json:"verdict"`
}

// Explain says in words what was judged, by what, and why, and computes it again. Its errors are those of [Service.Judgement].
func (s *Service) Explain(ctx context.Context, id int64) (Explanation, error) {
	j, err := s.Judgement(ctx, id)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Text: j.Reason, Verdict: j.Verdict}
	if j.Record == nil {
		return e, nil
	}
	e.Text = j.Record.Explain()
	if err := j.Record.Verify(); err != nil {
		e.Text += "\nComputed again, it is not the same: " + err.Error() + ".\n"
		return e, nil
	}
	e.Verified = j.Record.Judgement.Verdict == j.Verdict
	return e, nil
}

// Watching is how a rollout's watch stands.
type Watching struct {
	Verdict analysis.Verdict `json:"verdict"`
	Reason  string           `json:"reason"`
	// Early says that the watch has failed, which does not wait for a step's end.
	Early bool `json:"early"`
	// Since is when what is watched now began: the step, or the time after the last one.
	Since store.Time `json:"since"`
	// Scrapes are the looks of this wave.
	Scrapes int               `json:"scrapes"`
	Results []analysis.Result `json:"results"`
}

// Watching says how a rollout stands, or [ErrNotFound] where it was not looked at.
func (s *Service) Watching(ctx context.Context, rollout int64) (Watching, error) {
	l, err := s.load(ctx, rollout)
	if err != nil {
		return Watching{}, err
	}
	if l.version == 0 {
		return Watching{}, fmt.Errorf("the rollout %d was not watched: %w", rollout, ErrNotFound)
	}
	out := Watching{Verdict: analysis.Inconclusive, Since: store.At(l.Step.Since), Results: []analysis.Result{}}
	if !l.Plan.decides() {
		out.Reason = nothing
		return out, nil
	}
	w, err := analysis.Resume(l.Plan.config(l.Plan.Watch), l.Watch)
	if err != nil {
		return Watching{}, fmt.Errorf("resume the watch of the rollout %d: %w", rollout, err)
	}
	j := w.Judgement()
	out.Verdict, out.Reason = j.Verdict, j.Reason
	if j.Results != nil {
		out.Results = j.Results
	}
	if l.Watch != nil {
		out.Scrapes = int(l.Watch.Scrapes)
	}
	if l.Failed != nil {
		out.Verdict, out.Reason, out.Early = l.Failed.Verdict, l.Failed.Reason, true
	}
	return out, nil
}
