package jobs

import (
	"slices"
	"strings"
)

// anyLabel is the label of a runner that takes what no other runner is for.
const anyLabel = "*"

// wantsOf writes labels in a form that is the same for the same set of labels, whatever their case, order and number.
func wantsOf(labels []string) string { return strings.Join(fold(labels), "\n") }

// fold returns labels in lower case, sorted, each once, without empty ones.
func fold(labels []string) []string {
	var out []string
	for _, l := range labels {
		if l = strings.ToLower(strings.TrimSpace(strings.ReplaceAll(clean(l, maxName), "\n", " "))); l != "" {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// covers reports whether folded labels hold all that a job wants.
func covers(labels []string, wants string) bool {
	if wants == "" {
		return true
	}
	for w := range strings.SplitSeq(wants, "\n") {
		if _, ok := slices.BinarySearch(labels, w); !ok {
			return false
		}
	}
	return true
}

// takes reports whether a runner with these labels may have a job: it has all the labels itself, or it takes anything and no other runner
// has them all. Each of the others is a folded set; one that takes anything itself does not count.
func takes(labels []string, wants string, others func() ([][]string, error)) (bool, error) {
	if covers(labels, wants) {
		return true, nil
	}
	if !slices.Contains(labels, anyLabel) {
		return false, nil
	}
	sets, err := others()
	if err != nil {
		return false, err
	}
	for _, o := range sets {
		if !slices.Contains(o, anyLabel) && covers(o, wants) {
			return false, nil
		}
	}
	return true, nil
}
