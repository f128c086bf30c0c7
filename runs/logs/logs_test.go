package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

func newStore(t testing.TB, db *store.DB, b *blob.Bucket) *Store {
	t.Helper()
	s, err := New(t.Context(), Options{DB: db, Blobs: b, Poll: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func bucket(t testing.TB) *blob.Bucket {
	t.Helper()
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { b.Close() })
	return b
}

func folder(t testing.TB) *blob.Bucket {
	t.Helper()
	b, err := fileblob.OpenBucket(filepath.Join(t.TempDir(), "blobs"), &fileblob.Options{CreateDir: true, NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func appendTo(t testing.TB, s *Store, job string, lines ...Line) int64 {
	t.Helper()
	var first int64
	err := s.o.DB.Write(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
		first, err = s.Append(ctx, tx, job, lines)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func complete(t testing.TB, s *Store, job string) {
	t.Helper()
	if err := s.o.DB.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return s.Complete(ctx, tx, job) }); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, s *Store, job string, from int64, limit int) *Page {
	t.Helper()
	p, err := s.Read(t.Context(), job, from, limit)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// line is the n-th line of a build.
func line(n int64) Line {
	l := Line{N: n, Time: store.At(began.Add(time.Duration(n) * 137 * time.Microsecond)), Step: int(n/500) + 1}
	switch n % 100 {
	case 10:
		l.Group, l.Text = GroupBegin, fmt.Sprintf("module %d", n/100)
	case 90:
		l.Group = GroupEnd
	case 50:
		l.Notice, l.Text = true, "the cache was used"
	default:
		l.Text = fmt.Sprintf("\x1b[32m%08d\x1b[0m INFO compiling module github.com/example/service/internal/part%d (cached: %v)", n, n%97, n%3 == 0)
	}
	return l
}

func lines(from, to int64) []Line {
	out := make([]Line, 0, to-from+1)
	for n := from; n <= to; n++ {
		out = append(out, line(n))
	}
	return out
}

func rows(t *testing.T, s *Store, job string) (all []chunk) {
	t.Helper()
	if err := s.o.DB.NewSelect().Model(&all).Where("job = ?", job).Order("first").Scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	return all
}

func keys(t *testing.T, b *blob.Bucket) (all []string) {
	t.Helper()
	list := b.List(nil)
	for {
		o, err := list.Next(t.Context())
		if err != nil {
			return all
		}
		all = append(all, o.Key)
	}
}

// TestRanges appends in batches of all sizes and compares every kind of range with what was appended, before and after it was compacted.
func TestRanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := bucket(t)
		s := newStore(t, db, b)
		const total = 30_000
		rnd := rand.New(rand.NewPCG(1, 2))
		all := lines(1, total)
		for next := int64(1); next <= total; {
			n := []int64{1, 3, 40, 700, 5000}[rnd.IntN(5)]
			n = min(n, total-next+1)
			if first := appendTo(t, s, "r.1.1", all[next-1:next-1+n]...); first != next {
				t.Fatalf("the batch began at %d, not at %d", first, next)
			}
			next += n
		}
		appendTo(t, s, "r.1.2", Line{Text: "of another job"})
		if n := len(rows(t, s, "r.1.1")); n > 200 {
			t.Errorf("there are %d rows for what was written in small batches", n)
		}
		check := func(s *Store) {
			t.Helper()
			for _, tt := range []struct {
				from        int64
				limit       int
				first, last int64
			}{
				{1, 10, 1, 10}, {0, 10, 1, 10}, {500, 1, 500, 500}, {12_345, 10_000, 12_345, 22_344}, {12_345, 1_000_000, 12_345, 22_344},
				{total, 5, total, total}, {total - 3, 0, total - 3, total}, {1, 0, 1, 1000},
				{-1, 5, total, total}, {-10, 5, total - 9, total - 5}, {-total * 2, 2, 1, 2},
			} {
				p := read(t, s, "r.1.1", tt.from, tt.limit)
				if p.Total != total {
					t.Errorf("the total is %d", p.Total)
				}
				if diff := cmp.Diff(all[tt.first-1:tt.last], p.Lines); diff != "" {
					t.Errorf("from %d, at most %d: %.300s", tt.from, tt.limit, diff)
				}
			}
			if p := read(t, s, "r.1.1", total+1, 10); len(p.Lines) != 0 || p.Lines == nil {
				t.Errorf("behind the end there is %v", p.Lines)
			}
			var text, stamped, want, wantStamped bytes.Buffer
			for _, l := range all {
				fmt.Fprintf(&want, "%s\n", l.Text)
				fmt.Fprintf(&wantStamped, "%s %s\n", l.Time.Format("2006-01-02T15:04:05.000000Z"), l.Text)
			}
			if err := errors.Join(s.WriteTo(t.Context(), "r.1.1", false, &text), s.WriteTo(t.Context(), "r.1.1", true, &stamped)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(text.Bytes(), want.Bytes()) || !bytes.Equal(stamped.Bytes(), wantStamped.Bytes()) {
				t.Error("the text is another one")
			}
			if info, err := s.Info(t.Context(), "r.1.1"); err != nil || info.Bytes != int64(want.Len()) {
				t.Errorf("the text has %d bytes, %+v, %v", want.Len(), info, err)
			}
		}
		check(s)
		complete(t, s, "r.1.1")
		if err := s.Compact(t.Context(), "r.1.1"); err != nil {
			t.Fatal(err)
		}
		if p := read(t, s, "r.1.1", 1, 1); !p.Complete {
			t.Error("it is not complete")
		}
		if len(keys(t, b)) != 1 {
			t.Errorf("the blobs are %v", keys(t, b))
		}
		check(s)
		check(newStore(t, storetest.Again(t, db), b)) // without a cache
		if p := read(t, s, "r.1.2", 1, 10); len(p.Lines) != 1 || p.Complete {
			t.Errorf("the other job's: %+v", p)
		}
		if p := read(t, s, "none", 1, 10); p.Total != 0 || len(p.Lines) != 0 || p.Complete {
			t.Errorf("none: %+v", p)
		}
	})
}

// TestTexts gives back what is odd.
func TestTexts(t *testing.T) {
	s := newStore(t, storetest.Open(t), bucket(t))
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"no UTF-8", "a\xff\xfe\x00b", "a\xff\xfe\x00b"},
		{"a carriage return", "10%\r20%\r", "10%\r20%\r"},
		{"a line feed", "a\nb\n", "a␤b␤"},
		{"the longest", strings.Repeat("x", MaxLine), strings.Repeat("x", MaxLine)},
		{"longer", strings.Repeat("x", MaxLine-1) + "ü!", strings.Repeat("x", MaxLine-1) + " [3 more bytes were cut off]"},
	} {
		l := Line{Text: tt.in}
		n := appendTo(t, s, "j", l, Line{Text: "after"})
		if l.Text != tt.in {
			t.Errorf("%s: the caller's line was changed", tt.name)
		}
		p := read(t, s, "j", n, 2)
		if len(p.Lines) != 2 || p.Lines[0].Text != tt.want || p.Lines[1].Text != "after" || !p.Lines[0].Time.IsZero() {
			t.Errorf("%s: %.100q", tt.name, fmt.Sprint(p.Lines))
		}
	}
}

func TestRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStore(t, db, bucket(t))
		appendTo(t, s, "j", line(1))
		try := func(job string, lines ...Line) error {
			return db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				_, err := s.Append(ctx, tx, job, lines)
				return err
			})
		}
		for name, err := range map[string]error{
			"no job":           try("", line(2)),
			"an unknown group": try("j", Line{Group: "middle"}),
			"a negative step":  try("j", line(2), Line{Step: -1}),
		} {
			if err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		failure := errors.New("the caller's own")
		err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			if _, err := s.Append(ctx, tx, "j", lines(2, 9000)); err != nil {
				return err
			}
			return failure
		})
		if !errors.Is(err, failure) {
			t.Errorf("the caller's error became %v", err)
		}
		if p := read(t, s, "j", 1, 10); p.Total != 1 || len(p.Lines) != 1 {
			t.Errorf("a transaction that did not commit has left %+v", p)
		}
		complete(t, s, "j")
		if err := try("j", line(2)); !errors.Is(err, ErrComplete) {
			t.Errorf("an append to a complete log: %v", err)
		}
		var n int64
		err = db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = s.Append(ctx, tx, "j", nil)
			return err
		})
		if n != 2 || err != nil {
			t.Errorf("nothing was appended: the next number is %d, %v", n, err)
		}
	})
}

func TestDelete(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := folder(t)
		s := newStore(t, db, b)
		for _, job := range []string{"r.1.1", "r.1.2", "q.1.1"} {
			appendTo(t, s, job, lines(1, 9000)...)
			complete(t, s, job)
			if err := s.Compact(t.Context(), job); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(keys(t, b)); n != 3 {
			t.Fatalf("there are %d blobs", n)
		}
		if err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return s.Delete(ctx, tx, "r.1.1", "r.1.2", "none") }); err != nil {
			t.Fatal(err)
		}
		if p := read(t, s, "r.1.1", 1, 10); p.Total != 0 {
			t.Errorf("it is still there: %+v", p)
		}
		if p := read(t, s, "q.1.1", 8999, 10); len(p.Lines) != 2 {
			t.Errorf("another one: %+v", p)
		}
		await(t, "the blobs are gone", func() bool { return len(keys(t, b)) == 1 })
	})
}

func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestConcurrent appends, follows, compacts and completes at the same time, through two servers: a follower sees every line once.
func TestConcurrent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := bucket(t)
		servers := []*Store{newStore(t, db, b), newStore(t, storetest.Again(t, db), b)}
		for _, s := range servers {
			s.keep, s.move = 64<<10, 512<<10
		}
		const total, batch = 24_000, 400
		var all sync.WaitGroup
		all.Go(func() {
			for n := int64(1); n <= total; n += batch {
				appendTo(t, servers[n/batch%2], "j", lines(n, n+batch-1)...)
			}
			complete(t, servers[0], "j")
		})
		for _, s := range servers {
			all.Go(func() {
				woken := s.Watch(t.Context(), "j")
				for next := int64(1); ; {
					p, err := s.Read(t.Context(), "j", next, MaxLines)
					if err != nil {
						t.Error(err)
						return
					}
					for i := range p.Lines {
						if p.Lines[i] != line(next) {
							t.Errorf("line %d is %+v", next, p.Lines[i])
							return
						}
						next++
					}
					if len(p.Lines) > 0 {
						continue
					}
					if p.Complete {
						if next != total+1 {
							t.Errorf("the log ended before %d", next)
						}
						return
					}
					select {
					case <-woken:
					case <-time.After(30 * time.Second):
						t.Error("nobody said that there is more")
						return
					}
				}
			})
			all.Go(func() {
				for range 20 {
					if err := s.Compact(t.Context(), "j"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for _, s := range servers {
			if err := s.Compact(t.Context(), "j"); err != nil {
				t.Error(err)
			}
		}
		st, err := servers[0].state(t.Context(), "j")
		if err != nil || st.Inline > servers[0].keep {
			t.Errorf("the state is %+v, %v", st, err)
		}
		at := int64(1)
		var inline int64
		for _, c := range rows(t, servers[0], "j") {
			if c.First != at {
				t.Errorf("a chunk begins at %d, not at %d", c.First, at)
			}
			at += c.Lines
			if c.Blob == "" {
				inline += c.Bytes
			}
		}
		if at != total+1 || inline != st.Inline {
			t.Errorf("chunks reach to %d; %d bytes are inline, the state says %d", at, inline, st.Inline)
		}
	})
}
