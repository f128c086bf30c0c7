package store

import (
	"context"
	"hash/fnv"

	"github.com/uptrace/bun"
)

// lock waits until no other transaction on PostgreSQL has the lock of this name, and has it until the transaction ends. Two schemas of
// one database do not wait for each other.
func (db *DB) lock(ctx context.Context, tx bun.Tx, name string) error {
	h := fnv.New64a()
	h.Write([]byte("gantry\x00" + db.schema + "\x00" + name))
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", int64(h.Sum64()))
	return err
}
