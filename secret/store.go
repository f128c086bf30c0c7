package secret

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// Options are what a Store is made of. Where Identities and IdentityFile are both empty, KeyFile is required.
type Options struct {
	DB *store.DB
	// KeyFile is the file of a server's own identity. It is made, for nobody else to read, when the database has no secrets' key yet,
	// and is replaced by a rotation.
	KeyFile string
	// Identities are age identities ("AGE-SECRET-KEY-1…"), one a line, from the configuration; IdentityFile is a file with such, which
	// is read again when it may have changed. All servers of a database are given the same. The first is what is encrypted for, the
	// others can only read: to change the identity, put the new one first, restart, rotate, and take the old one out.
	Identities   string
	IdentityFile string
}

// What callers decide by.
var (
	// ErrNotFound: there is no such secret.
	ErrNotFound = errors.New("there is no such secret")
	// ErrWrongKey: the key that was given is not the one that the database's secrets are encrypted with.
	ErrWrongKey = errors.New("the key of the secrets is the wrong one")
	// ErrDamaged: what is in the database was not written there by this package.
	ErrDamaged = errors.New("was changed in the database by something other than gantry; set it again, or restore the database")
)

// Store keeps secrets. It is safe for concurrent use, and any number of servers may have one on the same database.
type Store struct {
	o Options
	// step is told how far a rotation is, for tests that stop there.
	step func(string)

	// rotating lets one rotation of this process work at a time.
	rotating sync.Mutex

	mu sync.Mutex
	// key is the data key that was in use when it was last looked at.
	key *dataKey
}

// keyRow is the one row of the wrapped data key.
type keyRow struct {
	bun.BaseModel `bun:"table:secret_keys"`

	Slot int `bun:",pk"`
	// ID is different for each data key.
	ID string
	// Recipient is the public half of the identity that Wrapped is encrypted for.
	Recipient string
	Wrapped   []byte
	CreatedAt store.Time
}

// row is one secret.
type row struct {
	bun.BaseModel `bun:"table:secrets"`

	Project     string `bun:",pk"`
	Environment string `bun:",pk"`
	Name        string `bun:",pk"`
	// Version counts the values that there were, from 1.
	Version int64
	// Key is the ID of the data key that Sealed is made with.
	Key       string
	Sealed    []byte
	UpdatedAt store.Time
	UpdatedBy string
}

var migrations = []store.Migration{{
	Name: "0001 secrets",
	SQL: `
CREATE TABLE secret_keys (
	slot INTEGER NOT NULL PRIMARY KEY,
	id TEXT NOT NULL,
	recipient TEXT NOT NULL,
	wrapped $BYTES NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE TABLE secrets (
	project TEXT NOT NULL,
	environment TEXT NOT NULL,
	name TEXT NOT NULL,
	version BIGINT NOT NULL,
	key TEXT NOT NULL,
	sealed $BYTES NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by TEXT NOT NULL,
	PRIMARY KEY (project, environment, name)
);
`,
}}

// Open makes the tables where they are missing, and the key where the database has none yet. A key that does not fit the database is
// ErrWrongKey: nothing is changed then.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.DB == nil {
		return nil, errors.New("open the secrets: a database is required")
	}
	if o.KeyFile == "" && o.IdentityFile == "" && o.Identities == "" {
		return nil, errors.New("open the secrets: a key file or identities are required")
	}
	if err := o.DB.Migrate(ctx, "secret", migrations); err != nil {
		return nil, err
	}
	s := &Store{o: o, step: func(string) {}}
	if err := s.settle(ctx); err != nil {
		return nil, fmt.Errorf("open the secrets: %w", err)
	}
	if _, err := s.load(ctx); err != nil {
		return nil, fmt.Errorf("open the secrets: %w", err)
	}
	return s, nil
}

// configured reports whether the identity comes from outside.
func (s *Store) configured() bool { return s.o.Identities != "" || s.o.IdentityFile != "" }

// current returns the data key that was in use when it was last looked at.
func (s *Store) current() *dataKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

// readKey reads the row of the data key; nil where there is none yet.
func readKey(ctx context.Context, db bun.IDB, lock string) (*keyRow, error) {
	var rows []keyRow
	q := db.NewSelect().Model(&rows)
	if lock != "" {
		q = q.For(lock)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the data key: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// load unwraps the data key that is in use, after making one where there is none. A rotation that happens meanwhile may have one of the
// row and the file read before and the other after it; then they fit when they are read again.
func (s *Store) load(ctx context.Context) (key *dataKey, err error) {
	for range 5 {
		if key, err = s.loadOnce(ctx); !errors.Is(err, ErrWrongKey) {
			break
		}
	}
	return key, err
}

func (s *Store) loadOnce(ctx context.Context) (*dataKey, error) {
	k, err := readKey(ctx, s.o.DB, "")
	if err != nil {
		return nil, err
	}
	ring, err := s.identities(k == nil)
	if err != nil {
		return nil, err
	}
	if k == nil {
		fresh, _, err := newDataKey(ring[0], s.o.DB.Now())
		if err != nil {
			return nil, err
		}
		err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.NewInsert().Model(fresh).On("CONFLICT (slot) DO NOTHING").Exec(ctx); err != nil {
				return err
			}
			// Another server may have been quicker.
			k, err = readKey(ctx, tx, "")
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("make the data key: %w", err)
		}
		if k == nil {
			return nil, errors.New("make the data key: it is not there afterwards")
		}
	}
	key, err := unwrap(k, ring, s.source())
	if errors.Is(err, ErrWrongKey) && !s.configured() {
		// A rotation may have been committed whose identity has not taken its place yet.
		if next, nextErr := s.nextIdentities(); nextErr == nil && next != nil && next[0].public == k.Recipient {
			key, err = unwrap(k, next, s.source())
		}
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
	return key, nil
}
