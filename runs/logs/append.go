package logs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/gantry-ops/gantry/store"
)

// Append adds lines to a job's log in the caller's transaction and returns the number of the first of them; those that follow have the
// next ones. The N of the lines is not looked at. When the transaction does not commit, the log is as it was.
//
// The caller sees to it that a batch which comes twice is appended once, and that nobody appends who may not any longer.
// A log that is complete takes no more: ErrComplete.
func (s *Store) Append(ctx context.Context, tx *store.Tx, job string, lines []Line) (first int64, err error) {
	defer func() {
		if err != nil && !errors.Is(err, ErrComplete) {
			err = fmt.Errorf("append to the log of the job %s: %w", job, err)
		}
	}()
	if job == "" {
		return 0, errors.New("it has no ID")
	}
	inline := int64(0)
	for len(lines) > 0 {
		part, rest := split(lines)
		st, n, err := s.appendPart(ctx, tx, job, part)
		if err != nil {
			return 0, err
		}
		if first == 0 {
			first = n
		}
		lines, inline = rest, st.Inline
	}
	if first == 0 {
		st, err := tx.NewSelect().Model((*state)(nil)).Column("lines").Where("job = ?", job).Rows(ctx)
		if err != nil {
			return 0, err
		}
		defer st.Close()
		n := int64(0)
		if st.Next() {
			if err := st.Scan(&n); err != nil {
				return 0, err
			}
		}
		return n + 1, st.Err()
	}
	tx.AfterCommit(func() {
		s.hub.tell(job)
		if inline >= s.move+chunkSize {
			s.soon(job)
		}
	})
	return first, nil
}

// split takes as many lines off as a chunk should have, at least one.
func split(lines []Line) (part, rest []Line) {
	size := 0
	for i := range lines {
		size += len(lines[i].Text) + 4
		if size > chunkSize && i > 0 {
			return lines[:i], lines[i:]
		}
	}
	return lines, nil
}

// appendPart adds what fits into a chunk: to the newest one where that is small, else as a new one.
func (s *Store) appendPart(ctx context.Context, tx *store.Tx, job string, lines []Line) (*state, int64, error) {
	raw, text, err := pack(lines)
	if err != nil {
		return nil, 0, err
	}
	// One statement counts the lines, decides where they go, and keeps every other writer of this log waiting.
	st := state{}
	err = tx.NewRaw(`INSERT INTO logs AS l (job, lines, bytes, spilled, inline, tail_first, tail_bytes, complete)
		VALUES (?0, ?1, ?2, 0, ?3, 1, ?3, FALSE)
		ON CONFLICT (job) DO UPDATE SET
			lines = l.lines + excluded.lines,
			bytes = l.bytes + excluded.bytes,
			inline = l.inline + excluded.inline,
			tail_first = CASE WHEN l.tail_bytes > 0 AND l.tail_bytes + ?3 <= ?4 THEN l.tail_first ELSE l.lines + 1 END,
			tail_bytes = CASE WHEN l.tail_bytes > 0 AND l.tail_bytes + ?3 <= ?4 THEN l.tail_bytes + ?3 ELSE ?3 END
		WHERE NOT l.complete
		RETURNING lines, inline, tail_first, tail_bytes`,
		job, len(lines), text, len(raw), mergeSize).Scan(ctx, &st.Lines, &st.Inline, &st.TailFirst, &st.TailBytes)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, fmt.Errorf("append to the log of the job %s: %w", job, ErrComplete)
	}
	if err != nil {
		return nil, 0, err
	}
	first := st.Lines - int64(len(lines)) + 1
	if st.TailFirst == first {
		packed := s.codec.quick.EncodeAll(raw, nil)
		c := &chunk{Job: job, First: first, Lines: int64(len(lines)), Bytes: int64(len(raw)), Size: int64(len(packed)), Time: lines[0].Time, Data: packed}
		if _, err := tx.NewInsert().Model(c).Exec(ctx); err != nil {
			return nil, 0, err
		}
		return &st, first, nil
	}
	tail := chunk{Job: job, First: st.TailFirst}
	if err := tx.NewSelect().Model(&tail).WherePK().Scan(ctx); err != nil {
		return nil, 0, fmt.Errorf("read the newest chunk: %w", err)
	}
	old, err := s.codec.decode(tail.Data, tail.Bytes)
	if err != nil {
		return nil, 0, fmt.Errorf("the chunk at line %d: %w", tail.First, err)
	}
	raw = append(old, raw...)
	tail.Data = s.codec.quick.EncodeAll(raw, nil)
	tail.Lines, tail.Bytes, tail.Size = tail.Lines+int64(len(lines)), int64(len(raw)), int64(len(tail.Data))
	_, err = tx.NewUpdate().Model(&tail).Column("lines", "bytes", "size", "data").WherePK().Exec(ctx)
	return &st, first, err
}

// pack returns lines as a section, and how long their text is.
func pack(lines []Line) (raw []byte, text int64, err error) {
	cleaned := lines
	for i := range lines {
		text += int64(len(lines[i].Text)) + 1
		if t := clean(lines[i].Text); t != lines[i].Text {
			if &cleaned[0] == &lines[0] {
				cleaned = append([]Line(nil), lines...)
			}
			text += int64(len(t)) - int64(len(lines[i].Text))
			cleaned[i].Text = t
		}
	}
	raw, err = appendSection(make([]byte, 0, text+int64(6*len(lines))+32), cleaned)
	return raw, text, err
}

// Complete says, in the caller's transaction, that a log gets no more lines. It is compacted soon after the transaction has committed.
func (s *Store) Complete(ctx context.Context, tx *store.Tx, job string) error {
	st := state{}
	err := tx.NewRaw(`INSERT INTO logs AS l (job, lines, bytes, spilled, inline, tail_first, tail_bytes, complete)
		VALUES (?, 0, 0, 0, 0, 1, 0, TRUE)
		ON CONFLICT (job) DO UPDATE SET complete = TRUE
		RETURNING inline`, job).Scan(ctx, &st.Inline)
	if err != nil {
		return fmt.Errorf("complete the log of the job %s: %w", job, err)
	}
	tx.AfterCommit(func() {
		s.hub.tell(job)
		if st.Inline > s.keep {
			s.soon(job)
		}
	})
	return nil
}
