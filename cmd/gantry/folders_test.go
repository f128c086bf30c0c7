package main

import (
	"sync"
	"testing"
)

func TestRunNumbersAreUnique(t *testing.T) {
	state := t.TempDir()
	const n = 40
	seen := make([]bool, n+1)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			got, err := nextRunNumber(state, "repo", "ci.yml")
			mu.Lock()
			defer mu.Unlock()
			if err != nil || got < 1 || got > n || seen[got] {
				t.Errorf("number %d, error %v", got, err)
				return
			}
			seen[got] = true
		})
	}
	wg.Wait()
	if got, err := nextRunNumber(state, "repo", "ci.yml"); err != nil || got != n+1 {
		t.Errorf("then %d, %v", got, err)
	}
	if got, err := nextRunNumber(state, "repo", "other.yml"); err != nil || got != 1 {
		t.Errorf("of another pipeline %d, %v", got, err)
	}
}

func TestFolders(t *testing.T) {
	t.Setenv("GANTRY_CACHE_DIR", "/c")
	t.Setenv("XDG_STATE_HOME", "/s")
	if got, err := cacheDir(); got != "/c" || err != nil {
		t.Errorf("cache: %q, %v", got, err)
	}
	if got, err := stateDir(); got != "/s/gantry" || err != nil {
		t.Errorf("state: %q, %v", got, err)
	}
	t.Setenv("XDG_STATE_HOME", "relative") // the specification says to ignore it
	t.Setenv("HOME", "/h")
	if got, err := stateDir(); got != "/h/.local/state/gantry" || err != nil {
		t.Errorf("state: %q, %v", got, err)
	}
}
