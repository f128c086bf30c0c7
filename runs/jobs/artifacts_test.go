package jobs

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// put stores an artifact.
func (w *world) put(task *Task, name, content string) error {
	return w.PutArtifact(w.t.Context(), task.TaskRef, name, int64(len(content)), strings.NewReader(content))
}

// read returns an artifact's content.
func (w *world) read(run, name string) string {
	w.t.Helper()
	_, r, err := w.OpenArtifact(w.t.Context(), run, name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// blobs returns the keys of all artifacts' blobs.
func (w *world) blobs() (keys []string) {
	w.t.Helper()
	it := w.o.Blobs.List(nil)
	for {
		o, err := it.Next(w.t.Context())
		if errors.Is(err, io.EOF) {
			return keys
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if strings.HasPrefix(o.Key, blobPrefix) {
			keys = append(keys, o.Key)
		}
	}
}

func TestArtifacts(t *testing.T) {
	each(t, func(w *world) {
		w.enqueue("1", "a")
		w.enqueue("1", "b")
		a, b := w.must(embedded("s")), w.must(embedded("s"))
		for _, content := range []string{"first", "second"} {
			if err := w.put(a, "out", content); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := w.put(b, "out", "b's"); !errors.Is(err, ErrConflict) {
			w.t.Errorf("another job's of the same name: %v", err)
		}
		if got := w.read("1", "out"); got != "second" {
			w.t.Errorf("it holds %q", got)
		}
		_, r, err := w.OpenArtifact(w.t.Context(), "1", "out")
		if err != nil {
			w.t.Fatal(err)
		}
		defer r.Close()
		if n, err := r.Seek(-3, io.SeekEnd); n != 3 || err != nil {
			w.t.Errorf("sought to %d, %v", n, err)
		}
		if rest, err := io.ReadAll(r); string(rest) != "ond" || err != nil {
			w.t.Errorf("the rest is %q, %v", rest, err)
		}
		list, err := w.ListArtifacts(w.t.Context(), b.TaskRef)
		if err != nil || len(list) != 1 || list[0].Size != 6 || list[0].Digest != "sha256:16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4" {
			w.t.Errorf("%+v, %v", list, err)
		}
		for _, tt := range []struct {
			name string
			size int64
		}{{"short", 9}, {"long", 3}} {
			if err := w.PutArtifact(w.t.Context(), a.TaskRef, tt.name, tt.size, strings.NewReader("12345")); err == nil {
				w.t.Errorf("%s: no error", tt.name)
			}
		}
		for _, name := range []string{"", "..", "a/b", "a\\b", "a\x00", strings.Repeat("x", 256), "\xff"} {
			var invalid *InvalidError
			if err := w.put(a, name, "x"); !errors.As(err, &invalid) {
				w.t.Errorf("%q: %v", name, err)
			}
		}
		if list, _ := w.Artifacts(w.t.Context(), "1"); len(list) != 1 {
			w.t.Errorf("%+v", list)
		}
		if keys := w.blobs(); len(keys) != 2 {
			w.t.Errorf("blobs %v: want the one that is referred to and the one that was replaced", keys)
		}
		w.write(func(ctx context.Context, tx *store.Tx) error { return w.Delete(ctx, tx, "1") })
		if _, _, err := w.OpenArtifact(w.t.Context(), "1", "out"); !errors.Is(err, ErrNotFound) {
			w.t.Errorf("after the deletion: %v", err)
		}
		if err := w.put(a, "late", "x"); !errors.Is(err, ErrNotFound) {
			w.t.Errorf("of a deleted run: %v", err)
		}
		var due []string
		if err := w.db.NewSelect().Table("job_garbage").Column("blob").Where("due <= ?", w.now()).Scan(w.t.Context(), &due); err != nil {
			w.t.Fatal(err)
		}
		for _, key := range w.blobs() {
			if !slices.Contains(due, key) {
				w.t.Errorf("the blob %s is nobody's, and is not thrown away", key)
			}
		}
	})
}

func TestTestsOfArtifacts(t *testing.T) {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	f, _ := z.Create("unit.xml")
	io.WriteString(f, `<testsuite name="unit"><testcase name="x" time="0.5"/><testcase name="y"><failure message="no">out</failure></testcase></testsuite>`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		task := w.must(embedded("s"))
		for range 2 {
			if err := w.put(task, "reports", archive.String()); err != nil {
				w.t.Fatal(err)
			}
		}
		suites, err := w.Tests(w.t.Context(), "1", 1)
		if err != nil || len(suites) != 1 || suites[0].Tests != 2 || suites[0].Failures != 1 || suites[0].Job != id || suites[0].Cases[1].Status != Failure {
			w.t.Errorf("%+v, %v", suites, err)
		}
	})
}

// TestAttempts shows that what was reused has the steps, log, tests and artifacts of the attempt that it ran in, and that a later attempt
// replaces artifacts.
func TestAttempts(t *testing.T) {
	each(t, func(w *world) {
		a := w.enqueue("1", "a")
		w.enqueue("1", "b")
		first, second := w.must(embedded("s")), w.must(embedded("s"))
		if err := w.Report(w.t.Context(), first.TaskRef, Batch{Seq: 1, Items: []Item{started(1), lines(1, "hi"), finished(1, pipeline.Success)}}); err != nil {
			w.t.Fatal(err)
		}
		for _, task := range []*Task{first, second} {
			if err := w.put(task, "of "+task.Assignment.ID, "1"); err != nil {
				w.t.Fatal(err)
			}
		}
		w.finish(first, pipeline.Success, 1)
		w.finish(second, pipeline.Failure, 0)
		var id string
		w.write(func(ctx context.Context, tx *store.Tx) (err error) {
			if err := w.Reuse(ctx, tx, "1", 1, 2, func(j *Job) bool { return j.Status == Success }); err != nil {
				return err
			}
			if err := w.Plan(ctx, tx, "p", "1", 2, []Job{{Path: "a", Key: "a", Name: "a"}, {Path: "b", Key: "b", Name: "b", Needs: []string{"a"}}}); err != nil {
				return err
			}
			id, err = w.Enqueue(ctx, tx, "p", "1", 2, runner.Assignment{ID: "b", Key: "b", Name: "b"})
			return err
		})
		list, err := w.List(w.t.Context(), "1", 2)
		if err != nil || len(list) != 2 {
			w.t.Fatal(list, err)
		}
		if j := list[0]; !j.Reused || j.Origin != a || len(j.Steps) != 1 || len(j.Artifacts) != 1 || j.Lines != 1 || strings.Join(w.log(j.ID), "") != "hi" {
			w.t.Errorf("reused: %+v", j)
		}
		if j := list[1]; j.ID != id || j.Status != Queued || len(j.Needs) != 1 || j.Needs[0] != list[0].ID {
			w.t.Errorf("again: %+v", j)
		}
		o, err := w.Wait(w.t.Context(), list[0].ID)
		if err != nil || o.Status != pipeline.Success {
			w.t.Errorf("%+v, %v", o, err)
		}
		again := w.must(embedded("s"))
		if err := w.put(again, "of b", "2"); err != nil {
			w.t.Fatal(err)
		}
		if got := w.read("1", "of b") + w.read("1", "of a"); got != "21" {
			w.t.Errorf("artifacts hold %q", got)
		}
	})
}
