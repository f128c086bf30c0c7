package logs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob/fileblob"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestCrash is a crash between the blob and the row: nothing is served twice or lost, and Tidy takes away what was left.
func TestCrash(t *testing.T) {
	now := time.Now()
	clock := storetest.Clock(func() time.Time { return now })
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := folder(t)
		s := newStore(t, db, b)
		appendTo(t, s, "j", lines(1, 9000)...)
		if err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			// Complete, without what it does after the commit.
			_, err := tx.ExecContext(ctx, "UPDATE logs SET complete = TRUE")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		st, err := s.state(t.Context(), "j")
		if err != nil {
			t.Fatal(err)
		}
		old, err := s.oldest(t.Context(), st)
		if err != nil || len(old) == 0 {
			t.Fatalf("%d chunks, %v", len(old), err)
		}
		content, _, err := s.repack(old, "k")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.writeBlob(t.Context(), Prefix+"j/orphan", content); err != nil {
			t.Fatal(err)
		}

		again := newStore(t, storetest.Again(t, db, clock), b)
		if p := read(t, again, "j", 8990, 100); len(p.Lines) != 11 || p.Lines[10] != line(9000) {
			t.Errorf("after the crash: %+v", p)
		}
		// What is young may have a row soon; the log itself is compacted.
		if done, err := again.Tidy(t.Context()); err != nil || done != (Tidied{Logs: 1}) {
			t.Errorf("tidied %+v, %v", done, err)
		}
		now = now.Add(2 * orphanAge)
		if done, err := again.Tidy(t.Context()); err != nil || done != (Tidied{Blobs: 1}) {
			t.Errorf("tidied later %+v, %v", done, err)
		}
		now = now.Add(-2 * orphanAge)
		if got := keys(t, b); len(got) != 1 || strings.Contains(got[0], "orphan") {
			t.Errorf("the blobs are %v", got)
		}
		var text bytes.Buffer
		if err := again.WriteTo(t.Context(), "j", false, &text); err != nil || bytes.Count(text.Bytes(), []byte("\n")) != 9000 {
			t.Errorf("the text has %d lines, %v", bytes.Count(text.Bytes(), []byte("\n")), err)
		}
	}, clock)
}

// TestNoBlobStore appends while blobs cannot be written, and moves them when they can.
func TestNoBlobStore(t *testing.T) {
	db := storetest.Open(t)
	dir := filepath.Join(t.TempDir(), "blobs")
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{CreateDir: true, NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s := newStore(t, db, b)
	s.move = 1 << 20
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the folder was
		t.Fatal(err)
	}
	for n := int64(1); n <= 30_000; n += 5000 {
		appendTo(t, s, "j", lines(n, n+4999)...)
	}
	complete(t, s, "j")
	if err := s.Compact(t.Context(), "j"); err == nil {
		t.Fatal("a blob was written where none can be")
	}
	if p := read(t, s, "j", 29_999, 10); len(p.Lines) != 2 || p.Lines[1] != line(30_000) {
		t.Errorf("without blobs: %+v", p)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if done, err := s.Tidy(t.Context()); err != nil || done.Logs != 1 {
		t.Errorf("tidied %+v, %v", done, err)
	}
	if p := read(t, s, "j", 15_000, 1); p.Lines[0] != line(15_000) || len(keys(t, b)) < 2 {
		t.Errorf("with blobs: %+v, %v", p, keys(t, b))
	}
}

// TestTidiesItself compacts what an earlier process has left, without being asked.
func TestTidiesItself(t *testing.T) {
	db, b := storetest.Open(t), bucket(t)
	before := newStore(t, db, b)
	before.Close() // what it would do beside transactions is not done any longer
	appendTo(t, before, "j", lines(1, 9000)...)
	complete(t, before, "j")
	s, err := New(t.Context(), Options{DB: db, Blobs: b, Tidy: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	await(t, "the log is in a blob", func() bool { return len(keys(t, b)) == 1 })
}

// TestDamage serves nothing that is not what was written.
func TestDamage(t *testing.T) {
	db := storetest.Open(t)
	b := folder(t)
	s := newStore(t, db, b)
	for _, job := range []string{"cut", "changed", "gone", "missing"} {
		appendTo(t, s, job, lines(1, 9000)...)
		complete(t, s, job)
		if err := s.Compact(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range keys(t, b) {
		content, err := b.ReadAll(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(key, "cut"):
			err = b.WriteAll(t.Context(), key, content[:len(content)/2], nil)
		case strings.Contains(key, "changed"):
			content[len(content)-20] ^= 1
			err = b.WriteAll(t.Context(), key, content, nil)
		case strings.Contains(key, "gone"):
			err = b.Delete(t.Context(), key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM log_chunks WHERE job = 'missing' AND first > 1 AND first < 6000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range []string{"cut", "changed", "gone", "missing"} {
		for name, f := range map[string]func() error{
			"read":   func() error { _, err := s.Read(t.Context(), job, 1, MaxLines); return err },
			"search": func() error { _, err := s.Search(t.Context(), job, never, 1, 1); return err },
			"write":  func() error { return s.WriteTo(t.Context(), job, false, &bytes.Buffer{}) },
		} {
			err := f()
			if err == nil || !strings.Contains(err.Error(), "the log of the job "+job) || job != "gone" && !errors.Is(err, errDamaged) {
				t.Errorf("%s, %s: %v", job, name, err)
			}
		}
	}
}
