package forge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// waiting waits until n calls wait for the folder's next recording.
func waiting(t *testing.T, m *Mirror, dir string, n int) {
	t.Helper()
	for {
		m.mu.Lock()
		r := m.next[dir]
		there := r != nil && r.waiting == n || r == nil && n == 0
		m.mu.Unlock()
		if there {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("%d calls do not wait", n)
		}
		runtime.Gosched()
	}
}

func TestRecordFolderTogether(t *testing.T) {
	t.Parallel()
	m, dir := openMirror(t, ""), t.TempDir()
	unlock, err := m.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const callers = 8
	type answer struct {
		commit string
		err    error
	}
	answers := make(chan answer, callers)
	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := m.RecordFolder(impatient, dir)
		left <- err
	}()
	waiting(t, m, dir, 1)
	for i := range callers {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("was there before the call"), 0o644); err != nil {
			t.Fatal(err)
		}
		go func() {
			commit, _, err := m.RecordFolder(t.Context(), dir)
			answers <- answer{commit, err}
		}()
		waiting(t, m, dir, i+2)
	}
	leave() // it has made the recording that the others wait for
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who has left: %v", err)
	}
	waiting(t, m, dir, callers)
	unlock()
	first := ""
	for range callers {
		a := <-answers
		if a.err != nil {
			t.Fatal(a.err)
		}
		if first == "" {
			first = a.commit
		}
		if a.commit != first {
			t.Errorf("commits %s and %s instead of one", first, a.commit)
		}
	}
	s := snapshot(t, m, first, "")
	for i := range callers {
		if _, err := os.Stat(filepath.Join(s.Dir, fmt.Sprint(i))); err != nil {
			t.Errorf("a file from before the call: %v", err)
		}
	}
}

func TestRecordFolderLeft(t *testing.T) {
	t.Parallel()
	m, dir := openMirror(t, ""), t.TempDir()
	unlock, err := m.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := m.RecordFolder(ctx, dir)
		left <- err
	}()
	waiting(t, m, dir, 1)
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who has left: %v", err)
	}
	waiting(t, m, dir, 0)
	unlock()
	if _, _, err := m.RecordFolder(t.Context(), dir); err != nil {
		t.Errorf("after all had left: %v", err)
	}
}
