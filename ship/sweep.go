package ship

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"gocloud.dev/blob"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
)

const (
	// sweepEvery is how often candidates are looked through.
	sweepEvery = time.Hour
	// keepLast is how many candidates of each service are kept beside those that a place has.
	keepLast = 10
	// orphanAge is how old a blob is that belongs to no candidate before it is taken for what a dead server left.
	orphanAge = 24 * time.Hour
)

// sweep takes away the candidates that nothing needs any more: no place, no release that is under way, and none of the last ones of a service.
func (s *Service) sweep(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	keep, err := s.needed(ctx)
	if err != nil {
		return 0, err
	}
	var all []string
	if err := s.o.DB.NewSelect().Table("candidates").Column("digest").Order("digest").Scan(ctx, &all); err != nil {
		return 0, fmt.Errorf("list candidates: %w", err)
	}
	for _, digest := range all {
		if !keep[digest] {
			if err := s.drop(ctx, l, digest); err != nil {
				return 0, err
			}
		}
	}
	return sweepEvery, s.orphans(ctx)
}

// needed are the digests of the candidates that are kept.
func (s *Service) needed(ctx context.Context) (map[string]bool, error) {
	keep := map[string]bool{}
	placed, err := s.o.Rollouts.Kept(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range placed {
		keep[c.Artifact] = true
	}
	var uses []struct {
		Digest, Project, Service string
		Release                  int64
		Settled                  bool
	}
	err = s.o.DB.NewSelect().TableExpr("candidate_uses AS u").Join("JOIN releases AS r ON r.id = u.release").
		ColumnExpr("u.digest, u.project, u.service, u.release, r.settled").OrderExpr("u.project, u.service, u.release DESC").Scan(ctx, &uses)
	if err != nil {
		return nil, fmt.Errorf("list the uses of candidates: %w", err)
	}
	last := map[[2]string]map[string]bool{}
	for _, u := range uses {
		of := [2]string{u.Project, u.Service}
		if last[of] == nil {
			last[of] = map[string]bool{}
		}
		if len(last[of]) < keepLast {
			last[of][u.Digest] = true
		}
		if last[of][u.Digest] || !u.Settled {
			keep[u.Digest] = true
		}
	}
	return keep, nil
}

// drop takes a candidate away unless a release has come to use it meanwhile. The row goes first: what is left of a blob without one is swept later.
func (s *Service) drop(ctx context.Context, l *engine.Lease, digest string) error {
	var key string
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		key = ""
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		var keys []string
		sel := tx.NewSelect().Table("candidates").Column("blob").Where("digest = ?", digest)
		if lock := tx.ForUpdate(); lock != "" {
			sel = sel.For(lock)
		}
		if err := sel.Scan(ctx, &keys); err != nil || len(keys) == 0 {
			return err
		}
		used, err := tx.NewSelect().TableExpr("candidate_uses AS u").Join("JOIN releases AS r ON r.id = u.release").Where("u.digest = ? AND NOT r.settled", digest).Exists(ctx)
		if err != nil || used {
			return err
		}
		for _, table := range []string{"candidates", "candidate_uses"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM ? WHERE digest = ?", bun.Ident(table), digest); err != nil {
				return err
			}
		}
		key = keys[0]
		return nil
	})
	if err != nil || key == "" {
		return err
	}
	return s.remove(ctx, key)
}

// orphans takes away the blobs of servers that died between writing them and saying so.
func (s *Service) orphans(ctx context.Context) error {
	var known []string
	if err := s.o.DB.NewSelect().Table("candidates").Column("blob").Scan(ctx, &known); err != nil {
		return fmt.Errorf("list candidates: %w", err)
	}
	has := map[string]bool{}
	for _, key := range known {
		has[key] = true
	}
	list := s.o.Blobs.List(&blob.ListOptions{Prefix: blobPrefix})
	for {
		one, err := list.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list the blobs of candidates: %w", err)
		}
		if !has[one.Key] && strings.HasPrefix(one.Key, blobPrefix) && s.o.Now().Sub(one.ModTime) > orphanAge {
			if err := s.remove(ctx, one.Key); err != nil {
				return err
			}
		}
	}
}
