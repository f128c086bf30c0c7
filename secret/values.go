package secret

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/store"
)

// Own is what the names of a server's own secrets begin with: tokens of forges, secrets of webhooks. They are given to no job and are
// in no list of a project's secrets. A server's that belong to no project have the project "".
const Own = "gantry/"

// Bounds of a secret. Values are in bytes.
const (
	MaxValue = 64 << 10
	MaxName  = 255
)

// InvalidError is input that cannot be accepted. It never has the value.
type InvalidError struct {
	// Field is "project", "environment", "name" or "value"; Message says what is expected of it.
	Field, Message string
}

func (e *InvalidError) Error() string { return e.Field + " " + e.Message }

// Info is what may be known of a secret.
type Info struct {
	Project string `json:"-"`
	Name    string `json:"name"`
	// Environment is empty for a secret of all the project's jobs.
	Environment string `json:"environment"`
	// Version counts the values that there were, from 1.
	Version   int64      `json:"version"`
	UpdatedAt store.Time `json:"updated_at"`
	// UpdatedBy is the actor, in the words of events.
	UpdatedBy string `json:"updated_by"`
}

func (r *row) info() Info {
	return Info{Project: r.Project, Name: r.Name, Environment: r.Environment, Version: r.Version, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy}
}

var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
var ownPattern = regexp.MustCompile(`^gantry/[a-z0-9]+([-/][a-z0-9]+)*$`)

// check returns an *InvalidError for what no secret can be.
func check(project, environment, name string) error {
	own := strings.HasPrefix(name, Own)
	switch {
	case project == "" && !own:
		return &InvalidError{"project", "is required"}
	case own && environment != "":
		return &InvalidError{"environment", "must be empty for a secret of the server's own"}
	case len(environment) > MaxName:
		return &InvalidError{"environment", fmt.Sprintf("must not be longer than %d bytes", MaxName)}
	case !utf8.ValidString(environment) || strings.ContainsFunc(environment, unicode.IsControl):
		return &InvalidError{"environment", "must be text without control characters"}
	case name == "":
		return &InvalidError{"name", "is required"}
	case len(name) > MaxName:
		return &InvalidError{"name", fmt.Sprintf("must not be longer than %d bytes", MaxName)}
	case !own && !namePattern.MatchString(name), own && !ownPattern.MatchString(name):
		return &InvalidError{"name", "must be of letters, digits and _, and not begin with a digit"}
	}
	return nil
}

func checkValue(value string) error {
	switch {
	case value == "":
		return &InvalidError{"value", "must not be empty; delete the secret instead"}
	case len(value) > MaxValue:
		return &InvalidError{"value", fmt.Sprintf("must not be longer than %d KiB, and has %d bytes", MaxValue>>10, len(value))}
	case strings.IndexByte(value, 0) >= 0:
		return &InvalidError{"value", "must not contain a NUL byte, which no environment variable can hold"}
	}
	return nil
}

// Put sets a secret of a project, or of one of its environments, and returns what may be known of it. Bad input is an *InvalidError.
func (s *Store) Put(ctx context.Context, actor, project, environment, name, value string) (*Info, error) {
	if err := check(project, environment, name); err != nil {
		return nil, err
	}
	if err := checkValue(value); err != nil {
		return nil, err
	}
	var info Info
	err := s.withKey(ctx, func(key *dataKey) error {
		return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := hold(ctx, tx, key); err != nil {
				return err
			}
			r := row{Project: project, Environment: environment, Name: name}
			var old []int64
			if err := tx.NewSelect().Model(&r).Column("version").WherePK().Scan(ctx, &old); err != nil {
				return err
			}
			r.Version = 1
			if len(old) > 0 {
				r.Version = old[0] + 1
			}
			r.UpdatedAt, r.UpdatedBy = store.At(tx.Now()), actor
			key.seal(&r, value)
			_, err := tx.NewInsert().Model(&r).On("CONFLICT (project, environment, name) DO UPDATE").
				Set("version = EXCLUDED.version").Set("key = EXCLUDED.key").Set("sealed = EXCLUDED.sealed").
				Set("updated_at = EXCLUDED.updated_at").Set("updated_by = EXCLUDED.updated_by").Exec(ctx)
			if err != nil {
				return err
			}
			info = r.info()
			return tx.Append(store.Event{Type: "secret.set", Project: project, Subject: name, Actor: actor}, about{environment, r.Version})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("set the secret %s of %s: %w", name, place(project, environment), err)
	}
	return &info, nil
}

// about is the data of events.
type about struct {
	Environment string `json:"environment,omitempty"`
	Version     int64  `json:"version"`
}

// Delete removes a secret; ErrNotFound where there is none.
func (s *Store) Delete(ctx context.Context, actor, project, environment, name string) error {
	if err := check(project, environment, name); err != nil {
		return err
	}
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		var version []int64
		err := tx.NewDelete().Model((*row)(nil)).Where("project = ? AND environment = ? AND name = ?", project, environment, name).Returning("version").Scan(ctx, &version)
		if err != nil {
			return err
		}
		if len(version) == 0 {
			return ErrNotFound
		}
		return tx.Append(store.Event{Type: "secret.deleted", Project: project, Subject: name, Actor: actor}, about{environment, version[0]})
	})
	if err != nil {
		return fmt.Errorf("delete the secret %s of %s: %w", name, place(project, environment), err)
	}
	return nil
}

// DeleteProject removes all secrets of a project, the server's own included, in the caller's transaction.
func (s *Store) DeleteProject(ctx context.Context, tx *store.Tx, project string) error {
	if _, err := tx.NewDelete().Model((*row)(nil)).Where("project = ?", project).Exec(ctx); err != nil {
		return fmt.Errorf("delete the secrets of %s: %w", place(project, ""), err)
	}
	return nil
}

// List returns what may be known of a project's secrets, by name and environment. The server's own are not among them.
func (s *Store) List(ctx context.Context, project string) ([]Info, error) {
	return s.list(ctx, project, func(name string) bool { return !strings.HasPrefix(name, Own) })
}

// ListOwn returns what may be known of the server's own secrets for a project.
func (s *Store) ListOwn(ctx context.Context, project string) ([]Info, error) {
	return s.list(ctx, project, func(name string) bool { return strings.HasPrefix(name, Own) })
}

func (s *Store) list(ctx context.Context, project string, want func(name string) bool) ([]Info, error) {
	var rows []row
	err := s.o.DB.NewSelect().Model(&rows).ExcludeColumn("sealed").Where("project = ?", project).Order("name", "environment").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the secrets of %s: %w", place(project, ""), err)
	}
	out := []Info{}
	for i := range rows {
		if want(rows[i].Name) {
			out = append(out, rows[i].info())
		}
	}
	return out, nil
}

// Values returns the secrets for a job of a project in an environment ("": in none) by name. An environment's own win over the
// project's; the server's own are not among them. A value that cannot be decrypted fails it: a job never runs with half of its secrets.
func (s *Store) Values(ctx context.Context, project, environment string) (map[string]string, error) {
	all, err := s.read(ctx, project, environment, "")
	if err != nil {
		return nil, fmt.Errorf("read the secrets of %s: %w", place(project, environment), err)
	}
	return all, nil
}

// Own returns one of the server's own secrets for a project ("": for none); ErrNotFound where there is none.
func (s *Store) Own(ctx context.Context, project, name string) (string, error) {
	if !strings.HasPrefix(name, Own) {
		return "", &InvalidError{"name", "must begin with " + Own}
	}
	all, err := s.read(ctx, project, "", name)
	if err != nil {
		return "", fmt.Errorf("read the secret %s of %s: %w", name, place(project, ""), err)
	}
	value, ok := all[name]
	if !ok {
		return "", fmt.Errorf("read the secret %s of %s: %w", name, place(project, ""), ErrNotFound)
	}
	return value, nil
}

// read decrypts the secrets of a project and an environment, or the one that own names.
func (s *Store) read(ctx context.Context, project, environment, own string) (map[string]string, error) {
	var out map[string]string
	err := s.withKey(ctx, func(key *dataKey) error {
		var rows []row
		q := s.o.DB.NewSelect().Model(&rows).Where("project = ?", project)
		if own != "" {
			q = q.Where("environment = '' AND name = ?", own)
		} else {
			// The project's come first, so that the environment's replace them.
			q = q.Where("environment = '' OR environment = ?", environment).Order("environment")
		}
		if err := q.Scan(ctx); err != nil {
			return err
		}
		out = make(map[string]string, len(rows))
		for i := range rows {
			if own == "" && strings.HasPrefix(rows[i].Name, Own) {
				continue
			}
			if rows[i].Key != key.id {
				return errOtherKey
			}
			value, err := key.open(&rows[i])
			if err != nil {
				return err
			}
			out[rows[i].Name] = value
		}
		return nil
	})
	return out, err
}

// errOtherKey is that another data key is in use than the one that was given.
var errOtherKey = errors.New("the data key was changed meanwhile")

// withKey calls fn with the data key in use, again when it says that there is another one by now: a server rotates for all.
func (s *Store) withKey(ctx context.Context, fn func(*dataKey) error) error {
	key := s.current()
	for same := 0; ; {
		err := fn(key)
		if !errors.Is(err, errOtherKey) {
			return err
		}
		before := key.id
		if key, err = s.load(ctx); err != nil {
			return err
		}
		// The row may have been read just before a rotation, and the key after it; but not twice without another rotation.
		if same++; key.id != before {
			same = 0
		}
		if same == 2 {
			return fmt.Errorf("a row is encrypted with a data key that is not there: it %w", ErrDamaged)
		}
	}
}

// hold makes sure that a data key is the one in use, until the transaction ends.
func hold(ctx context.Context, tx *store.Tx, key *dataKey) error {
	k, err := readKey(ctx, tx, tx.ForUpdate())
	if err != nil {
		return err
	}
	if k == nil || k.ID != key.id {
		return errOtherKey
	}
	return nil
}
