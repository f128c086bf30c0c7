package githubactions

import (
	"strings"
	"testing"
)

func TestCheckID(t *testing.T) {
	for _, id := range []string{"a", "_a", "A-1", "build_2", strings.Repeat("a", 99)} {
		if problem := checkID(id); problem != "" {
			t.Error(problem)
		}
	}
	for _, id := range []string{"", "1a", "-a", "a b", "ä", "a.b", "__a", "__", strings.Repeat("a", 100)} {
		if checkID(id) == "" {
			t.Errorf("%q is accepted", id)
		}
	}
}

func TestStepIDs(t *testing.T) {
	ids := stepIDs{}
	for _, c := range []struct{ word, want string }{
		{"run", "__run"},
		{"run", "__run_2"},
		{"Run", "__Run_3"},
		{usesWord("actions/checkout@v4"), "__actions_checkout"},
		{usesWord("actions/cache/restore@v4"), "__actions_cache"},
		{usesWord("docker://alpine:3"), "__alpine_3"},
		{usesWord("./.github/actions/x"), "__self"},
		{usesWord("x"), "__x"},
		{usesWord(""), "__"},
		{strings.Repeat("é", 100), "__" + strings.Repeat("_", 98)},
		{strings.Repeat("é", 100), "__" + strings.Repeat("_", 96) + "_2"},
	} {
		if got := ids.next(c.word); got != c.want {
			t.Errorf("%q: %q, want %q", c.word, got, c.want)
		}
	}
}
