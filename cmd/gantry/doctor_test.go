package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestDoctorWithoutPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	e := examination{now: time.Now}
	for _, tt := range []struct {
		check  func(context.Context) finding
		status string
	}{{e.git, wellMissing}, {e.shell, wellWarning}, {e.node, wellWarning}} {
		f := tt.check(t.Context())
		if f.Status != tt.status || !strings.HasSuffix(f.Found, "is not in PATH") || f.Why == "" || f.Mend == "" {
			t.Errorf("got %+v", f)
		}
	}
}

func TestDoctorClock(t *testing.T) {
	e := examination{now: func() time.Time { return time.Unix(0, 0) }}
	if f := e.clock(t.Context()); f.Status != wellMissing || f.Mend == "" {
		t.Errorf("got %+v", f)
	}
}

func TestAtLeast(t *testing.T) {
	for text, want := range map[string]bool{"git version 2.39.5": true, "git version 2.30.0": true, "git version 2.29.9": false, "v20.1.0": true, "git version 3.0": true, "odd": false} {
		if got := atLeast(text, oldestGit); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
