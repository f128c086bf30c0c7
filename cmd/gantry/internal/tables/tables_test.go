package tables

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestWrite writes cells of others, who want to break the table.
func TestWrite(t *testing.T) {
	var b strings.Builder
	if err := Write(&b, []string{"NAME", "REASON"}, []string{"a", "broken\nline\t\x1b[2J"}, []string{"long name", ""}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "NAME       REASON\na          broken line [2J\nlong name  -\n"; got != want {
		t.Errorf("it is\n%q, want\n%q", got, want)
	}
	if err := Write(broken{}, []string{"a"}); !errors.Is(err, errBroken) {
		t.Errorf("to a broken pipe it is %v", err)
	}
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestOneLine(t *testing.T) {
	if got, want := OneLine("a \x1b[2J\u009bb\n\u202ec\td"), "a [2J b c d"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 0: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59 * time.Minute: "59 min", time.Hour: "1 h", 47 * time.Hour: "47 h", 48 * time.Hour: "2 d", 71 * time.Hour: "2 d",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
