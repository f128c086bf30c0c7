package ship

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/store"
)

// By is who asks for something.
type By struct {
	// Actor as events name it: "account:NAME", "token:ID", "gantry".
	Actor string
	// Name is shown to people.
	Name string
	// Account is behind a session or a token; empty where there is none. Two decisions of one account are those of one person.
	Account string
}

// person is by what two requests are known to be of one person.
func (b By) person() string {
	if b.Account != "" {
		return b.Account
	}
	return b.Actor
}

// Request asks for a release.
type Request struct {
	Project string
	// Ref is a branch, a tag or a commit; empty is the default branch.
	Ref string
	// Environments and Services restrict it; empty is all of gantry.yaml. Whatever their order here, the file's is kept.
	Environments []string
	Services     []string
	// Key, where it is not empty, makes the same release of requests of a project that have the same one; at most 400 bytes.
	Key string
}

const maxKey = 400

// InvalidError is input that cannot be accepted, and where.
type InvalidError struct {
	// Field is the member in the request, in JSON's names; Value what was given.
	Field string
	Value any
	// Message says what is expected.
	Message string
}

func (e *InvalidError) Error() string { return e.Field + " " + e.Message }

// UnknownError names an environment or a service that the project does not have at the commit.
type UnknownError struct {
	// What is "environment" or "service"; Known are those that there are, in the order of the file.
	What, Name string
	Known      []string
}

func (e *UnknownError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("there is no %s %q, nor any other", e.What, e.Name)
	}
	return fmt.Sprintf("there is no %s %q; there is %s", e.What, e.Name, strings.Join(e.Known, ", "))
}

// FileError is a gantry.yaml that a commit cannot be released by. It unwraps to a [pipeline.DiagnosticError] with all that is wrong.
type FileError struct {
	Commit      string
	Diagnostics pipeline.Diagnostics
	// Source has the text of the files that the diagnostics are about, by their names, to show the places.
	Source map[string][]byte
}

func (e *FileError) Error() string {
	return fmt.Sprintf("%s at %.12s cannot be released: %v", project.FileName, e.Commit, e.Unwrap())
}

// Unwrap returns the diagnostics as an error.
func (e *FileError) Unwrap() error { return &pipeline.DiagnosticError{Diagnostics: e.Diagnostics} }

func fileError(commit string, files fs.FS, diags pipeline.Diagnostics) *FileError {
	e := &FileError{Commit: commit, Diagnostics: diags, Source: map[string][]byte{}}
	for _, d := range diags {
		if _, ok := e.Source[d.Pos.File]; ok || d.Pos.File == "" {
			continue
		}
		if b, err := fs.ReadFile(files, d.Pos.File); err == nil {
			e.Source[d.Pos.File] = b
		}
	}
	return e
}

// Start begins a release of a commit. What is wrong with it is said at once: [*InvalidError], [*UnknownError], [*FileError], and [ErrNotFound] where
// the commit has no gantry.yaml.
func (s *Service) Start(ctx context.Context, by By, q Request) (Release, error) {
	switch {
	case by.Actor == "":
		return Release{}, &InvalidError{"actor", "", "is required"}
	case q.Project == "":
		return Release{}, &InvalidError{"project", "", "is required"}
	case len(q.Key) > maxKey:
		return Release{}, &InvalidError{"key", q.Key[:maxKey] + "…", fmt.Sprintf("must have at most %d bytes", maxKey)}
	}
	if r, ok, err := s.asked(ctx, q.Project, q.Key); err != nil || ok {
		return r, err
	}
	commit, full, title, err := s.o.Sources.Resolve(ctx, q.Project, q.Ref)
	if err != nil {
		return Release{}, fmt.Errorf("find what to release of %s: %w", q.Project, err)
	}
	p, docs, err := s.load(ctx, commit, q)
	if err != nil {
		return Release{}, err
	}
	r := &record{plan: p, state: state{Account: by.person(), Parts: map[string]*part{}, Release: Release{
		Project: q.Project, Kind: Ship, Ref: full, Commit: commit, Title: title, Status: Building, Reason: "looks for what was built",
		Actor: by.Actor, ActorName: by.Name, Notes: []string{}, Builds: []Build{}, Candidates: []Candidate{},
	}}}
	r.Release.Environments = environments(p)
	return s.insert(ctx, r, q.Key, docs)
}

// environments are those of a plan before anything has happened.
func environments(p *plan) []Environment {
	var all []Environment
	for _, pe := range p.Environments {
		e := Environment{Name: pe.Name, Status: Pending}
		for _, ps := range pe.Services {
			e.Services = append(e.Services, Member{Service: ps.Service, Needs: ps.Needs, Status: Pending, Config: ps.Config, Version: ps.Candidate.Version()})
		}
		all = append(all, e)
	}
	return all
}

// load reads gantry.yaml at a commit, and plans what is asked for.
func (s *Service) load(ctx context.Context, commit string, q Request) (*plan, []document, error) {
	files, err := s.o.Sources.Files(ctx, q.Project, commit)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s at %.12s: %w", q.Project, commit, err)
	}
	p, diags, err := project.Load(files, project.FileName, project.Options{CheckQuery: s.o.CheckQuery})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s at %.12s has no %s, which says how it is released (gantry init writes one): %w", q.Project, commit, project.FileName, ErrNotFound)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s at %.12s: %w", project.FileName, commit, err)
	}
	if p == nil {
		return nil, nil, fileError(commit, files, diags)
	}
	var names []string
	for _, e := range p.Environments {
		names = append(names, e.Name)
	}
	if err := known("environment", q.Environments, names); err != nil {
		return nil, nil, err
	}
	names = nil
	for _, one := range p.Services {
		names = append(names, one.Name)
	}
	if err := known("service", q.Services, names); err != nil {
		return nil, nil, err
	}
	in := func(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }
	var environments []*project.Environment
	for _, e := range p.Environments {
		if in(q.Environments, e.Name) {
			environments = append(environments, e)
		}
	}
	var services []*project.Service
	for _, one := range p.Services {
		if in(q.Services, one.Name) {
			services = append(services, one)
		}
	}
	out, docs, found, err := planned(p, q.Project, environments, services)
	if err != nil {
		return nil, nil, err
	}
	if found.HasErrors() {
		return nil, nil, fileError(commit, files, found)
	}
	if len(out.Environments) == 0 {
		return nil, nil, &InvalidError{"services", q.Services, "are released in none of these environments"}
	}
	return out, docs, nil
}

func known(what string, asked, all []string) error {
	for _, name := range asked {
		if !slices.Contains(all, name) {
			return &UnknownError{What: what, Name: name, Known: all}
		}
	}
	return nil
}

// asked looks for the release that a key has made already.
func (s *Service) asked(ctx context.Context, project, key string) (Release, bool, error) {
	if key == "" {
		return Release{}, false, nil
	}
	var ids []int64
	if err := s.o.DB.NewSelect().Table("releases").Column("id").Where("project = ? AND asked = ?", project, key).Scan(ctx, &ids); err != nil {
		return Release{}, false, fmt.Errorf("look for the release of a key: %w", err)
	}
	if len(ids) == 0 {
		return Release{}, false, nil
	}
	r, err := s.release(ctx, ids[0])
	return r, err == nil, err
}

// insert stores a new release with all that belongs to it.
func (s *Service) insert(ctx context.Context, r *record, key string, docs []document) (Release, error) {
	now := s.o.Now()
	notes := slices.Clone(r.Release.Notes)
	var id int64
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r.Release.Notes = slices.Clone(notes)
		if _, err := tx.ExecContext(ctx, "INSERT INTO release_numbers (project, last) VALUES (?, 1) ON CONFLICT (project) DO UPDATE SET last = release_numbers.last + 1", r.Release.Project); err != nil {
			return err
		}
		var n []int64
		if err := tx.NewSelect().Table("release_numbers").Column("last").Where("project = ?", r.Release.Project).Scan(ctx, &n); err != nil {
			return err
		}
		for _, d := range docs {
			b, err := d.config.JSON()
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO ship_configs (digest, document, created_at) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING", d.digest, string(b), store.At(now)); err != nil {
				return err
			}
		}
		if err := s.contractNotes(ctx, tx, r); err != nil {
			return err
		}
		if err := s.supersede(ctx, tx, r, n[0]); err != nil {
			return err
		}
		at := store.At(tx.Now())
		one := &row{Project: r.Release.Project, Number: n[0], Asked: key, Status: r.Release.Status, Plan: store.AsJSON(r.plan), State: store.AsJSON(r.state), CreatedAt: at, UpdatedAt: at}
		if _, err := tx.NewInsert().Model(one).Exec(ctx); err != nil {
			return err
		}
		id = one.ID
		for _, e := range r.plan.Environments {
			for _, ps := range e.Services {
				if _, err := tx.ExecContext(ctx, "INSERT INTO release_parts (release, project, environment, service, begun, done) VALUES (?, ?, ?, ?, ?, ?)", id, one.Project, e.Name, ps.Service, false, false); err != nil {
					return err
				}
			}
		}
		made := one.record(r.plan)
		if err := s.takeOver(ctx, tx, r, id, n[0]); err != nil {
			return err
		}
		if err := tell(tx, made, r.Release.Actor, "release.started", nil); err != nil {
			return err
		}
		if err := tell(tx, made, "gantry", "release."+string(r.Release.Status), nil); err != nil {
			return err
		}
		return s.o.Engine.Put(ctx, tx, kindRelease, made.key(), now)
	})
	if errors.Is(err, errChanged) {
		// A release that this one supersedes or takes back went on meanwhile.
		r.Release.Notes = notes
		return s.insert(ctx, r, key, docs)
	}
	if store.IsDuplicate(err) && key != "" {
		if before, ok, why := s.asked(ctx, r.Release.Project, key); why == nil && ok {
			return before, nil
		}
	}
	if err != nil {
		return Release{}, fmt.Errorf("begin a release of %s: %w", r.Release.Project, err)
	}
	return s.release(ctx, id)
}

// contractNotes says which migrations of the release no rollback will cross.
func (s *Service) contractNotes(ctx context.Context, tx *store.Tx, r *record) error {
	if r.Release.Kind != Ship {
		return nil
	}
	where, order := map[[2]string][]string{}, [][2]string{}
	for _, e := range r.plan.Environments {
		for _, ps := range e.Services {
			left, err := pending(ctx, tx, r.Release.Project, e.Name, ps.Service, ps.Contract)
			if err != nil {
				return err
			}
			for _, m := range left {
				k := [2]string{ps.Service, m}
				if where[k] == nil {
					order = append(order, k)
				}
				where[k] = append(where[k], e.Name)
			}
		}
	}
	for _, k := range order {
		r.Release.Notes = append(r.Release.Notes, fmt.Sprintf("a rollback of %s will not cross the contract step %s (%s)", k[0], k[1], strings.Join(where[k], ", ")))
	}
	return nil
}

// tell appends an event.
func tell(tx *store.Tx, r *record, actor, kind string, more map[string]any) error {
	data := map[string]any{"release": r.key(), "number": r.Release.Number, "kind": r.Release.Kind, "status": r.Release.Status, "reason": r.Release.Reason, "commit": r.Release.Commit}
	for k, v := range more {
		data[k] = v
	}
	return tx.Append(store.Event{Type: kind, Project: r.Release.Project, Subject: r.key(), Actor: actor}, data)
}
