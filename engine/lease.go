package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// Lease is the right to work on one row.
type Lease struct {
	Kind, ID string
	// Owner is the server that has it.
	Owner string
	// Token grows each time that the row's lease is taken. It also grows when the row was removed and put again in between, as long
	// as the clock is not set back meanwhile; [Lease.Guard] does not depend on that.
	Token int64
	// Due is when the row was due. Who computes the next time of a schedule starts from it, not from the clock: the server that had
	// the row before may have had another one.
	Due time.Time
	// Failures is how many attempts in a row have ended with an error.
	Failures int

	seq int64
}

// Guard makes the transaction fail with ErrLost unless the lease still stands, and keeps it standing until the transaction ends.
func (l *Lease) Guard(ctx context.Context, tx *store.Tx) error {
	q := tx.NewSelect().Table("engine_work").ColumnExpr("1").Where("seq = ? AND owner = ? AND token = ?", l.seq, l.Owner, l.Token)
	if lock := tx.ForUpdate(); lock != "" {
		q = q.For(lock)
	}
	var one []int
	if err := q.Scan(ctx, &one); err != nil {
		return fmt.Errorf("check the lease of %s %s: %w", l.Kind, l.ID, err)
	}
	if len(one) == 0 {
		return fmt.Errorf("%s %s, token %d: %w", l.Kind, l.ID, l.Token, ErrLost)
	}
	return nil
}
