package metrics

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func written(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const testRules = `
groups:
- name: orders
  interval: 100ms
  rules:
  - record: orders:failed:ratio
    expr: orders_failed / orders
    labels: {team: trading}
  - alert: OrdersFail
    expr: orders:failed:ratio > 0.1
    labels: {severity: page}
    annotations: {summary: '{{ $value | humanizePercentage }} of the orders of {{ $labels.service }} fail'}
`

// TestRules has a rule fire and end, and tells of it.
func TestRules(t *testing.T) {
	var (
		mu    sync.Mutex
		told  []Alert
		asked error
		s     *Store
	)
	s = opened(t, func(o *Options) {
		o.ExternalLabels = map[string]string{"site": "north", "severity": "none"}
		o.Alerts = func(ctx context.Context, alerts []Alert) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, alerts...)
			if _, err := s.Query(ctx, "orders", time.Now()); err != nil {
				asked = err
			}
		}
	})
	last := func() (Alert, bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(told) == 0 {
			return Alert{}, false
		}
		return told[len(told)-1], true
	}
	write := func(failed float64) {
		at := time.Now()
		kept(t, s, sample(at, 100, "__name__", "orders", "service", "gateway"), sample(at, failed, "__name__", "orders_failed", "service", "gateway"))
	}
	write(50)
	if err := s.SetRules(written(t, testRules)); err != nil {
		t.Fatal(err)
	}
	is(t, s, `orders:failed:ratio{team="trading",service="gateway"}`, 0.5)
	eventually(t, "an alert", func() bool { _, ok := last(); return ok })
	a, _ := last()
	if a.Name != "OrdersFail" || a.Labels["severity"] != "page" || a.Labels["service"] != "gateway" || a.Labels["site"] != "north" ||
		a.Value != 0.5 || !a.ResolvedAt.IsZero() || a.FiredAt.IsZero() || a.Annotations["summary"] != "50% of the orders of gateway fail" {
		t.Errorf("%+v", a)
	}
	eventually(t, "the end of the alert", func() bool {
		write(0)
		a, _ := last()
		return !a.ResolvedAt.IsZero()
	})

	t.Run("bad files change nothing", func(t *testing.T) {
		for name, text := range map[string]string{
			"not YAML":    "groups: [",
			"not PromQL":  "groups: [{name: a, rules: [{record: x, expr: 'sum(('}]}]",
			"unknown key": "groups: [{name: a, colour: red}]",
		} {
			file := written(t, text)
			if err := s.SetRules(written(t, testRules), file); !errors.Is(err, ErrBadRules) || !strings.Contains(err.Error(), file) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := s.SetRules("/does/not/exist.yml"); !errors.Is(err, ErrBadRules) {
			t.Errorf("no file: %v", err)
		}
		if n := len(s.rules.RuleGroups()); n != 1 {
			t.Errorf("there are %d groups now", n)
		}
	})
	t.Run("none", func(t *testing.T) {
		if err := s.SetRules(); err != nil || len(s.rules.RuleGroups()) != 0 {
			t.Errorf("%v, %v", err, s.rules.RuleGroups())
		}
	})
	mu.Lock()
	defer mu.Unlock()
	if asked != nil {
		t.Errorf("who is told of an alert could not ask: %v", asked)
	}
}
