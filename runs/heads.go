package runs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
)

// headRow is the commit of a ref as it was seen last.
type headRow struct {
	bun.BaseModel `bun:"table:heads,alias:h"`

	Project string `bun:",pk"`
	// Ref is the full ref; firstSight marks that the project's refs were looked at once, folderRef is the one of a folder's files.
	Ref string `bun:",pk"`
	SHA string `bun:"sha"`
	// Changes counts how often it was seen to change.
	Changes int64
	// Started: a trigger was made of this commit, not only a note of it.
	Started bool
}

// Refs that are no ref's.
const (
	firstSight = "first sight"
	folderRef  = "folder"
)

// pushedBefore reports whether a push that somebody else tells of too (a webhook and a poll) has been taken already.
func (s *Service) pushedBefore(ctx context.Context, tx *store.Tx, t *Trigger, st *starting) (bool, error) {
	if t.Delivery == "" || t.Event != "push" && t.Event != "tag" {
		return false, nil
	}
	n, err := tx.NewSelect().Model((*headRow)(nil)).Where("project = ? AND ref = ? AND sha = ? AND started = ?", t.Project, st.ref, st.sha, true).Count(ctx)
	return n > 0, err
}

// saw notes the commit that a push has brought, and has the schedules read again when it is the default branch's.
func (s *Service) saw(ctx context.Context, tx *store.Tx, p *projectRow, t *Trigger, st *starting) error {
	if st.branch != "" && st.branch != p.DefaultBranch {
		p.DefaultBranch = st.branch
		if _, err := tx.NewUpdate().Model(p).Column("default_branch").WherePK().Exec(ctx); err != nil {
			return err
		}
	}
	if t.Event != "push" && t.Event != "tag" || st.ref == "" {
		return nil
	}
	if strings.Trim(st.sha, "0") == "" {
		_, err := tx.NewDelete().Model((*headRow)(nil)).Where("project = ? AND ref = ?", p.ID, st.ref).Exec(ctx)
		return err
	}
	if err := noteHead(ctx, tx, &headRow{Project: p.ID, Ref: st.ref, SHA: st.sha, Started: true}); err != nil {
		return err
	}
	if p.Settings.V.Source.Folder {
		if err := noteHead(ctx, tx, &headRow{Project: p.ID, Ref: folderRef, SHA: st.sha, Started: true}); err != nil {
			return err
		}
	}
	if !st.main {
		return nil
	}
	return s.o.Engine.Put(ctx, tx, kindRefresh, p.ID, s.now())
}

func noteHead(ctx context.Context, tx *store.Tx, h *headRow) error {
	_, err := tx.NewInsert().Model(h).On("CONFLICT (project, ref) DO UPDATE").Set("sha = EXCLUDED.sha").Set("started = EXCLUDED.started").Set("changes = h.changes + 1").Exec(ctx)
	return err
}

// poll looks for new commits of a project. What it sees first it only notes: those commits are nobody's push.
func (s *Service) poll(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	row, err := s.project(ctx, l.ID)
	if errors.Is(err, ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return 0, err
	}
	p := row.view()
	if p.Poll <= 0 {
		return done, nil
	}
	again := time.Duration(p.Poll) * time.Second
	refs, err := s.refsOf(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("look for new commits of %s: %w", p.ID, err)
	}
	var rows []headRow
	if err := s.o.DB.NewSelect().Model(&rows).Where("project = ?", p.ID).Scan(ctx); err != nil {
		return 0, fmt.Errorf("read the known commits of %s: %w", p.ID, err)
	}
	known := map[string]*headRow{}
	for i := range rows {
		known[rows[i].Ref] = &rows[i]
	}
	if known[firstSight] == nil {
		return again, s.noteFirst(ctx, l, p, refs, known)
	}
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		if h := known[ref]; h == nil || h.SHA != refs[ref] {
			if err := s.pushedTo(ctx, p, ref, refs[ref], h); err != nil {
				return 0, err
			}
		}
	}
	return again, s.forgetRefs(ctx, l, p, refs, known)
}

// refsOf returns the commits of branches and tags; of a folder, the one that its files were recorded as.
func (s *Service) refsOf(ctx context.Context, p *Project) (map[string]string, error) {
	if !p.Source.Folder {
		all, _, err := s.o.Sources.Heads(ctx, p)
		if err != nil {
			return nil, err
		}
		refs := map[string]string{}
		for ref, sha := range all {
			if strings.HasPrefix(ref, "refs/heads/") || strings.HasPrefix(ref, "refs/tags/") {
				refs[ref] = sha
			}
		}
		return refs, nil
	}
	snapshot, release, err := s.o.Sources.Snapshot(ctx, p, "")
	if err != nil {
		return nil, err
	}
	release()
	return map[string]string{folderRef: snapshot.Change.SHA}, nil
}

// noteFirst records what a project has when it is first looked at.
func (s *Service) noteFirst(ctx context.Context, l *engine.Lease, p *Project, refs map[string]string, known map[string]*headRow) error {
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		rows := []headRow{{Project: p.ID, Ref: firstSight}}
		for ref, sha := range refs {
			if known[ref] == nil {
				rows = append(rows, headRow{Project: p.ID, Ref: ref, SHA: sha})
			}
		}
		for part := range slices.Chunk(rows, 500) {
			if _, err := tx.NewInsert().Model(&part).On("CONFLICT (project, ref) DO NOTHING").Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// pushedTo makes a trigger of a ref that has changed.
func (s *Service) pushedTo(ctx context.Context, p *Project, ref, sha string, before *headRow) error {
	t := Trigger{Project: p.ID, Event: "push", Ref: ref, SHA: sha, Actor: byGantry, ActorName: "poll"}
	changes := int64(0)
	if before != nil {
		t.Before, changes = before.SHA, before.Changes
	}
	switch {
	case ref == folderRef:
		t.Ref = ""
	case strings.HasPrefix(ref, "refs/tags/"):
		t.Event, t.Before = "tag", ""
	}
	t.Delivery = digest("poll", ref, t.Before, sha, fmt.Sprint(changes))
	_, err := s.Trigger(ctx, t)
	var wrong *InvalidError
	if errors.As(err, &wrong) {
		// It will not get better; the other refs are not to wait for it.
		s.o.Log.Warn("a ref that was pushed starts nothing", "project", p.ID, "ref", ref, "error", err)
		return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			return noteHead(ctx, tx, &headRow{Project: p.ID, Ref: ref, SHA: sha})
		})
	}
	return err
}

// forgetRefs drops those that the source has no longer, so that they are new when they come back.
func (s *Service) forgetRefs(ctx context.Context, l *engine.Lease, p *Project, refs map[string]string, known map[string]*headRow) error {
	var gone []string
	for ref := range known {
		if _, ok := refs[ref]; !ok && strings.HasPrefix(ref, "refs/") && !p.Source.Folder {
			gone = append(gone, ref)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*headRow)(nil)).Where("project = ? AND ref IN (?)", p.ID, bun.In(gone)).Exec(ctx)
		return err
	})
}

// digest names something by its parts in few bytes.
func digest(kind string, parts ...string) string {
	return fmt.Sprintf("%s:%x", kind, sha256.Sum256([]byte(strings.Join(parts, "\x00"))))
}
