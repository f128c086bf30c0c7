package metrics_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/telemetry/metrics"
)

func TestCheckQuery(t *testing.T) {
	for _, good := range []string{"1", "up", `sum by (version) (rate(x{service="a"}[1m])) / 2`, "histogram_quantile(0.99, sum by (le) (rate(y_bucket[30s])))"} {
		if err := metrics.CheckQuery(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"sum(":              "1:5",
		"rate(x)":           "1:6",
		"x[1m]":             "all samples",
		`"text"`:            "string",
		"sum by (a (x)":     "1:",
		"nosuch(x)":         "nosuch",
		"":                  "no expression",
		"x{service=~\"[\"}": "1:",
	} {
		err := metrics.CheckQuery(bad)
		if !errors.Is(err, metrics.ErrBadQuery) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, and not %q", bad, err, want)
		}
	}
}
