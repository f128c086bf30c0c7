package ship

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/project"
)

var update = flag.Bool("update", false, "write golden files")

// golden holds a value's JSON against a file, or writes it with -update.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(b)); diff != "" {
		t.Errorf("%s: -want +got (write with -update):\n%s", file, diff)
	}
}

const ways = `
services:
  canary:
    command: [./a]
    instances: 4
    ports: {http: ":8001"}
    strategy: {canary: {steps: [{weight: 0.5, for: 5m}, {weight: 5, requests: 1000, within: 1h}, {weight: 75, for: 1m, pause: true}, {weight: 100, for: 10m}]}, keep-warm: 1h}
    analysis: {inconclusive: extend, extensions: 2}
  stable:
    command: [./a]
    ports: {http: ":8002"}
    strategy: {canary: {steps: [20]}}
    analysis: {baseline: stable, inconclusive: rollback, errors: none, latency: none}
  blue:
    command: [./a]
    ports: {http: ":8003"}
    strategy: {blue-green: {smoke: [{http: /healthz}]}}
  rolling:
    command: [./a]
    instances: 8
    health: {command: [./check], deadline: 10m}
    strategy: {rolling: {batch: 25%}}
environments:
  - name: production
    regions: [[east, {name: west, services: {rolling: {instances: 3}}}], north]
    soak: 30m
    targets: [{region: east, agents: [east]}, {region: west, agents: [west]}, {region: north, agents: [north]}]
`

func loaded(t testing.TB, text string) *project.Project {
	t.Helper()
	p, diags, err := project.Load(fstest.MapFS{"gantry.yaml": {Data: []byte(text)}}, "gantry.yaml", project.Options{})
	if err != nil || p == nil {
		t.Fatalf("%v: %v", err, diags)
	}
	return p
}

// TestStrategies shows what gantry.yaml asks of rollouts.
func TestStrategies(t *testing.T) {
	p := loaded(t, ways)
	out, docs, diags, err := planned(p, "shop", p.Environments, p.Services)
	if err != nil || diags.HasErrors() || len(docs) != 4 {
		t.Fatalf("%v, %v", diags, err)
	}
	for i := range out.Environments[0].Services {
		out.Environments[0].Services[i].Config = "" // it has a test of its own
	}
	golden(t, "plan.json", out)
}

// TestRefused refuses what a rollout cannot do.
func TestRefused(t *testing.T) {
	for want, change := range map[string][2]string{
		"step 1 has 0.001 % of the traffic, and shares are counted in hundredths of a percent":    {"weight: 0.5", "weight: 0.001"},
		"step 4 has all of the traffic, where it can be watched for a time, and wait neither for": {"{weight: 100, for: 10m}", "{weight: 100, requests: 10}"},
		"above 50 and at most": {"{weight: 5, req", "{weight: 0.501, req"},
		"released differently in the regions east and north (health)":   {"], north]", "], {name: north, services: {rolling: {health: {command: [./check], deadline: 20m}}}}]"},
		"released differently in the regions east and north (strategy)": {"], north]", "], {name: north, services: {blue: {strategy: rolling}}}]"},
	} {
		p := loaded(t, strings.Replace(ways, change[0], change[1], 1))
		_, _, diags, err := planned(p, "shop", p.Environments, p.Services)
		if err != nil || !diags.HasErrors() || !strings.Contains(diags.Err().Error(), want) {
			t.Errorf("%v, %v, want %q", diags, err, want)
		}
	}
}

// TestNeeds leaves services out without losing the order of those that need each other through them.
func TestNeeds(t *testing.T) {
	p := loaded(t, `
services:
  a: {command: [./a]}
  b: {command: [./a], needs: [a]}
  c: {command: [./a], needs: [b]}
environments: [production]
`)
	out, _, _, err := planned(p, "shop", p.Environments, []*project.Service{p.Services[0], p.Services[2]})
	if err != nil || len(out.Environments[0].Services) != 2 || cmp.Diff([]string{"a"}, out.Environments[0].Services[1].Needs) != "" {
		t.Errorf("it is %+v, %v", out, err)
	}
}
