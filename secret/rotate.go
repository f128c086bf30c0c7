package secret

import (
	"context"
	"fmt"

	"github.com/gantry-ops/gantry/store"
)

// Rotate encrypts everything anew and returns how many secrets there are: with a new data key, and, where the identity is the server's
// own, for a new identity. One that came by configuration is not the server's to change: the new data key is wrapped for the first of
// Options.Identities, which so may take an older one's place.
//
// It happens as a whole or not at all, also when the process dies in it: the new identity waits in a file beside the old one until the
// database has committed, and the next Open sees which of them counts. Afterwards the old data key and the server's old identity are
// gone; other servers notice the new data key when they meet it.
func (s *Store) Rotate(ctx context.Context, actor string) (n int, err error) {
	s.rotating.Lock()
	defer s.rotating.Unlock()
	defer func() {
		if err != nil {
			err = fmt.Errorf("rotate the secrets' key: %w", err)
		}
	}()
	// What an earlier one has left would be lost by this one.
	if err := s.settle(ctx); err != nil {
		return 0, err
	}
	if _, err := s.load(ctx); err != nil {
		return 0, err
	}
	ring, err := s.identities(false)
	if err != nil {
		return 0, err
	}
	target, text := ring[0], []byte(nil)
	if !s.configured() {
		if target, text, err = newIdentity(s.o.DB.Now()); err != nil {
			return 0, err
		}
	}
	err = s.withKey(ctx, func(old *dataKey) error {
		return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := hold(ctx, tx, old); err != nil {
				return err
			}
			if text != nil {
				// Within the transaction: while it holds the key, nobody settles.
				if err := writePrivate(s.o.KeyFile+nextSuffix, text, false); err != nil {
					return err
				}
				s.step("identity written")
			}
			count, err := reseal(ctx, tx, old, target)
			if err != nil {
				return err
			}
			n = count
			s.step("resealed")
			return tx.Append(store.Event{Type: "secret.rotated", Actor: actor}, struct {
				Secrets   int    `json:"secrets"`
				Recipient string `json:"recipient"`
			}{n, target.public})
		})
	})
	s.step("committed")
	// Whether it was committed the database says, also where an error has hidden it.
	if settleErr := s.settle(context.WithoutCancel(ctx)); err == nil {
		err = settleErr
	}
	s.step("settled")
	if err != nil {
		return 0, err
	}
	if _, err := s.load(ctx); err != nil {
		return 0, err
	}
	return n, nil
}

// reseal encrypts all secrets with a new data key for an identity, in the place of the old one.
func reseal(ctx context.Context, tx *store.Tx, old *dataKey, target identity) (int, error) {
	k, fresh, err := newDataKey(target, tx.Now())
	if err != nil {
		return 0, err
	}
	var rows []row
	if err := tx.NewSelect().Model(&rows).Order("project", "environment", "name").Scan(ctx); err != nil {
		return 0, err
	}
	for i := range rows {
		r := &rows[i]
		value, err := old.open(r)
		if err != nil {
			return 0, err
		}
		fresh.seal(r, value)
		if _, err := tx.NewUpdate().Model(r).Column("key", "sealed").WherePK().Exec(ctx); err != nil {
			return 0, err
		}
	}
	_, err = tx.NewUpdate().Model(k).Column("id", "recipient", "wrapped", "created_at").WherePK().Exec(ctx)
	return len(rows), err
}

// Recipient is the public half of the identity that the secrets are encrypted for.
func (s *Store) Recipient(ctx context.Context) (string, error) {
	k, err := readKey(ctx, s.o.DB, "")
	if err != nil {
		return "", err
	}
	if k == nil {
		return "", fmt.Errorf("read the data key: %w", ErrNotFound)
	}
	return k.Recipient, nil
}
