package ship

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestJSON shows a release as others get it: a finished one, one at its gates, and a list.
func TestJSON(t *testing.T) {
	r := newRoom(t, storetest.Open(t), nil)
	r.people["cy"] = []string{"risk"}
	const file = `
services:
  ledger: {command: [./ledger], strategy: {blue-green: {}, keep-warm: 0s}, migrations: [{name: drop, phase: contract, command: [./ledger, drop]}]}
  web: {command: [./web], needs: [ledger], strategy: {blue-green: {}, keep-warm: 0s}}
environments:
  - {name: staging, targets: [{agents: [staging]}]}
  - {name: production, gates: {approvals: [{count: 2, role: risk}], require: [scan], freezes: {noon: {days: [mon], from: "08:00", to: "15:00"}}}}
`
	r.forge.commit(t, "one", file, map[string]string{"ledger": "1", "web": "1"})
	id := r.start("one").ID
	r.until(id, "the gate, with nothing left before it", func(r Release) bool {
		return r.Environments[1].Status == Gated && !slices.ContainsFunc(r.Rollouts, func(one release.View) bool { return !one.State.Phase.Ended() })
	})
	got, err := r.Approve(t.Context(), cy, id, "production", "as agreed")
	if err != nil {
		t.Fatal(err)
	}
	got.May = got.Allows()
	golden(t, "gated.json", fixed(t, got))
	if _, err := r.Tell(t.Context(), bo, id, Command{Do: Abort, Reason: "enough"}); err != nil {
		t.Fatal(err)
	}
	r.settled(id)
	list, err := r.Releases(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "list.json", fixed(t, list))
}

// fixed is a value's JSON without what chance has a part in.
func fixed(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			if _, counts := v["version"].(float64); counts {
				v["version"] = "HOW OFTEN IT WAS WRITTEN"
			}
			for k, one := range v {
				v[k] = walk(one)
			}
		case []any:
			for i, one := range v {
				v[i] = walk(one)
			}
		case string:
			if at, err := time.Parse(time.RFC3339Nano, v); err == nil && !strings.HasPrefix(v, "2026-11-02T15:00:00Z") && at.Year() > 1 {
				return "TIME"
			}
		}
		return v
	}
	return walk(out)
}
