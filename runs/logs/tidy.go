package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/uptrace/bun"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/gantry-ops/gantry/store"
)

// Delete removes logs in the caller's transaction. Their blobs go soon after it has committed. Logs that are not there are no error.
func (s *Store) Delete(ctx context.Context, tx *store.Tx, jobs ...string) error {
	if len(jobs) == 0 {
		return nil
	}
	err := func() error {
		// First what other writers of these logs wait for.
		if _, err := tx.NewDelete().Model((*state)(nil)).Where("job IN (?)", bun.In(jobs)).Exec(ctx); err != nil {
			return err
		}
		var keys []string
		if err := tx.NewSelect().Model((*chunk)(nil)).ColumnExpr("DISTINCT blob").Where("job IN (?)", bun.In(jobs)).Where("blob <> ''").Scan(ctx, &keys); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*chunk)(nil)).Where("job IN (?)", bun.In(jobs)).Exec(ctx); err != nil {
			return err
		}
		tx.AfterCommit(func() {
			s.doom(keys)
			for _, job := range jobs {
				s.hub.tell(job)
			}
		})
		return nil
	}()
	if err != nil {
		return fmt.Errorf("delete %d logs: %w", len(jobs), err)
	}
	return nil
}

// orphanAge is how old a blob has to be before Tidy takes it for forgotten: much longer than it takes from writing one to the row that
// refers to it.
const orphanAge = time.Hour

// Tidied is what Tidy has done.
type Tidied struct {
	// Blobs is how many were deleted that nothing referred to, Logs how many complete logs were compacted.
	Blobs, Logs int
}

// Tidy makes good what a crash or a blob store that could not be reached has left: blobs that no row refers to are deleted once they are
// an hour old, and complete logs that are still in the database are compacted. The Store does so by itself every Options.Tidy; several
// servers may do it at a time.
func (s *Store) Tidy(ctx context.Context) (Tidied, error) {
	var done Tidied
	err := errors.Join(s.tidyLogs(ctx, &done), s.tidyBlobs(ctx, &done))
	if err != nil {
		return done, fmt.Errorf("tidy up logs: %w", err)
	}
	return done, nil
}

// tidyOften tidies up until the Store is closed.
func (s *Store) tidyOften() {
	tick := time.NewTicker(s.o.Tidy)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		done, err := s.Tidy(s.ctx)
		if err != nil && s.ctx.Err() == nil {
			s.o.Log.Warn("logs could not be tidied up", "error", err)
		} else if done != (Tidied{}) {
			s.o.Log.Info("logs were tidied up", "blobs", done.Blobs, "logs", done.Logs)
		}
	}
}

func (s *Store) tidyLogs(ctx context.Context, done *Tidied) error {
	for after := ""; ; {
		var jobs []string
		err := s.o.DB.NewSelect().Model((*state)(nil)).Column("job").Where("complete AND inline > ?", s.keep).Where("job > ?", after).Order("job").Limit(100).Scan(ctx, &jobs)
		if err != nil || len(jobs) == 0 {
			return err
		}
		for _, job := range jobs {
			if err := s.Compact(ctx, job); err != nil {
				return err
			}
			done.Logs++
		}
		after = jobs[len(jobs)-1]
	}
}

func (s *Store) tidyBlobs(ctx context.Context, done *Tidied) error {
	before := s.o.DB.Now().Add(-orphanAge)
	list := s.o.Blobs.List(&blob.ListOptions{Prefix: Prefix})
	var old []string
	for {
		o, err := list.Next(ctx)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fmt.Errorf("list the blobs: %w", err)
		}
		if !end && o.ModTime.Before(before) {
			old = append(old, o.Key)
		}
		if len(old) == 500 || end && len(old) > 0 {
			if err := s.deleteOrphans(ctx, old, done); err != nil {
				return err
			}
			old = old[:0]
		}
		if end {
			return nil
		}
	}
}

func (s *Store) deleteOrphans(ctx context.Context, keys []string, done *Tidied) error {
	var used []string
	if err := s.o.DB.NewSelect().Model((*chunk)(nil)).ColumnExpr("DISTINCT blob").Where("blob <> ''").Where("blob IN (?)", bun.In(keys)).Scan(ctx, &used); err != nil {
		return err
	}
	isUsed := make(map[string]bool, len(used))
	for _, key := range used {
		isUsed[key] = true
	}
	for _, key := range keys {
		if isUsed[key] {
			continue
		}
		if err := s.o.Blobs.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Errorf("delete the blob %s: %w", key, err)
		}
		done.Blobs++
	}
	return nil
}
