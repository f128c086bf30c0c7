package logs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/uptrace/bun"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/gantry-ops/gantry/store"
)

// soon has a log compacted beside transactions.
func (s *Store) soon(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.isDue[job]; ok {
		return
	}
	s.isDue[job] = struct{}{}
	s.due = append(s.due, job)
	s.work()
}

// doom has blobs deleted beside transactions.
func (s *Store) doom(keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doomed = append(s.doomed, keys...)
	s.work()
}

// work starts what does the work beside transactions, where it is not at it already. s.mu is held.
func (s *Store) work() {
	if s.working || s.closed || len(s.due)+len(s.doomed) == 0 {
		return
	}
	s.working = true
	s.beside.Go(func() {
		for s.ctx.Err() == nil && s.workOnce() {
		}
	})
}

func (s *Store) workOnce() bool {
	s.mu.Lock()
	var job, key string
	switch {
	case len(s.due) > 0:
		job, s.due = s.due[0], s.due[1:]
		delete(s.isDue, job)
	case len(s.doomed) > 0:
		key, s.doomed = s.doomed[0], s.doomed[1:]
	default:
		s.working = false
		s.mu.Unlock()
		return false
	}
	s.mu.Unlock()
	if job != "" {
		if err := s.Compact(s.ctx, job); err != nil && s.ctx.Err() == nil {
			s.o.Log.Warn("a log stays in the database for now", "job", job, "error", err)
		}
		return true
	}
	if err := s.o.Blobs.Delete(s.ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound && s.ctx.Err() == nil {
		s.o.Log.Warn("a blob that nothing refers to stays for now", "blob", key, "error", err)
	}
	return true
}

// errMoved is that a log was changed while its chunks were being moved.
var errMoved = errors.New("the log was changed meanwhile")

// Compact moves chunks of a log from the database into blobs: as long as there are enough for a blob, and once the log is complete all
// but a small one. It is called by itself; callers may wish to know that it is done, or to do it again where it failed. However often
// and by however many it is called, lines are neither lost nor doubled.
func (s *Store) Compact(ctx context.Context, job string) error {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	for lost := 0; ; {
		st, err := s.state(ctx, job)
		if err != nil {
			return err
		}
		if st.Complete && st.Inline <= s.keep || !st.Complete && st.Inline < s.move+mergeSize {
			return nil
		}
		moved, err := s.spill(ctx, st)
		if lost++; errors.Is(err, errMoved) && lost < 5 && ctx.Err() == nil {
			continue // by another server, or it was deleted: look again, perhaps nothing is left to do
		}
		if err != nil {
			return fmt.Errorf("compact the log of the job %s: %w", job, err)
		}
		if !moved {
			return nil
		}
	}
}

// spill moves the oldest chunks that are still in the database into one blob.
func (s *Store) spill(ctx context.Context, st *state) (moved bool, err error) {
	old, err := s.oldest(ctx, st)
	if err != nil || len(old) == 0 {
		return false, err
	}
	key := fmt.Sprintf("%s%s/%012d-%s", Prefix, st.Job, old[0].First, rand.Text())
	content, chunks, err := s.repack(old, key)
	if err != nil {
		return false, err
	}
	if err := s.writeBlob(ctx, key, content); err != nil {
		return false, err
	}
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return replace(ctx, tx, st.Job, old, chunks)
	})
	if err != nil {
		// Whether the transaction has committed may be unknown; Tidy looks whether a row refers to the blob. Only what was certainly
		// in vain is cleaned up here.
		if errors.Is(err, errMoved) {
			s.doom([]string{key})
		}
		return false, err
	}
	return true, nil
}

// oldest reads the chunks that go into the next blob: none that an append may still rewrite.
func (s *Store) oldest(ctx context.Context, st *state) ([]chunk, error) {
	var out []chunk
	size := int64(0)
	for next := st.Spilled + 1; size < s.move; {
		var page []chunk
		q := s.o.DB.NewSelect().Model(&page).Where("job = ?", st.Job).Where("first >= ?", next).Order("first").Limit(pageChunks)
		if !st.Complete {
			q = q.Where("first < ?", st.TailFirst)
		}
		if err := q.Scan(ctx); err != nil {
			return nil, err
		}
		for _, c := range page {
			if c.First != next || c.Blob != "" {
				return nil, errMoved
			}
			if size += c.Bytes; size > s.move && len(out) > 0 {
				return out, nil
			}
			out = append(out, c)
			next = c.First + c.Lines
		}
		if len(page) < pageChunks {
			break
		}
	}
	return out, nil
}

// repack joins small chunks and returns what goes into the blob, with the rows for it.
func (s *Store) repack(old []chunk, key string) (content []byte, chunks []chunk, err error) {
	var raw []byte
	var cur chunk
	flush := func() {
		start := len(content)
		content = s.codec.thorough.EncodeAll(raw, content)
		cur.Bytes, cur.Size, cur.Start, cur.Blob, cur.Data = int64(len(raw)), int64(len(content)-start), int64(start), key, nil
		chunks = append(chunks, cur)
		raw = raw[:0]
	}
	for i := range old {
		part, err := s.codec.decode(old[i].Data, old[i].Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("the chunk at line %d: %w", old[i].First, err)
		}
		if n, err := countLines(part); err != nil || n != old[i].Lines {
			return nil, nil, fmt.Errorf("the chunk at line %d: %w", old[i].First, errors.Join(errDamaged, err))
		}
		if len(raw) > 0 && len(raw)+len(part) > chunkSize {
			flush()
		}
		if len(raw) == 0 {
			cur = chunk{Job: old[i].Job, First: old[i].First, Time: old[i].Time}
		}
		raw = append(raw, part...)
		cur.Lines += old[i].Lines
	}
	flush()
	return content, chunks, nil
}

// replace puts the rows of a blob in the place of those that it was made of, if they are still the same.
func replace(ctx context.Context, tx *store.Tx, job string, old, chunks []chunk) error {
	var locked []state
	q := tx.NewSelect().Model(&locked).Where("job = ?", job)
	if lock := tx.ForUpdate(); lock != "" {
		q = q.For(lock)
	}
	if err := q.Scan(ctx); err != nil {
		return err
	}
	if len(locked) == 0 || locked[0].Spilled+1 != old[0].First {
		return errMoved
	}
	var now []chunk
	last := old[len(old)-1]
	in := func(q bun.QueryBuilder) bun.QueryBuilder {
		return q.Where("job = ?", job).Where("first BETWEEN ? AND ?", old[0].First, last.First)
	}
	if err := in(tx.NewSelect().Model(&now).Column("first", "lines", "blob").Order("first").QueryBuilder()).Unwrap().(*bun.SelectQuery).Scan(ctx); err != nil {
		return err
	}
	if !slices.EqualFunc(old, now, func(a, b chunk) bool { return a.First == b.First && a.Lines == b.Lines && a.Blob == b.Blob }) {
		return errMoved
	}
	if _, err := in(tx.NewDelete().Model((*chunk)(nil)).QueryBuilder()).Unwrap().(*bun.DeleteQuery).Exec(ctx); err != nil {
		return err
	}
	if _, err := tx.NewInsert().Model(&chunks).Exec(ctx); err != nil {
		return err
	}
	var bytes int64
	for i := range old {
		bytes += old[i].Bytes
	}
	_, err := tx.NewUpdate().Model((*state)(nil)).
		Set("spilled = ?", last.First+last.Lines-1).Set("inline = inline - ?", bytes).
		Where("job = ?", job).Exec(ctx)
	return err
}

// writeBlob writes a blob so that it is there when this returns, also after the machine has lost its power where the bucket is a folder.
func (s *Store) writeBlob(ctx context.Context, key string, content []byte) error {
	var file *os.File
	w, err := s.o.Blobs.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType: "application/zstd",
		BeforeWrite: func(as func(any) bool) error {
			as(&file)
			return nil
		},
	})
	if err == nil {
		_, err = w.Write(content)
		if err == nil && file != nil {
			err = file.Sync()
		}
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return fmt.Errorf("write the blob %s: %w", key, err)
	}
	return nil
}
