package runs

import "strings"

// skipMarks are what a commit's message has anywhere in it so that pushes and pull requests start nothing
// (https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs).
var skipMarks = []string{"[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"}

// skips returns the mark by which a commit's message asks that pushes and pull requests start nothing; empty: it does not. Besides the
// marks there is a trailer, "skip-checks: true", as the last paragraph or part of it, with two empty lines before it.
func skips(message string) string {
	folded := strings.ToLower(message)
	for _, m := range skipMarks {
		if strings.Contains(folded, m) {
			return m
		}
	}
	folded = strings.TrimRight(strings.ReplaceAll(folded, "\r\n", "\n"), " \t\n")
	i := strings.LastIndex(folded, "\n\n")
	if i < 0 {
		return ""
	}
	for line := range strings.Lines(folded[i+2:]) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "skip-checks" && strings.TrimSpace(value) == "true" {
			return "skip-checks: true"
		}
	}
	return ""
}
