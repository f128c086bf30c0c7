package project

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
)

// TestConfig makes the same document of the same configuration, and another one of what runs differently; gates and calendars are not in it.
func TestConfig(t *testing.T) {
	const file = `
services:
  web: {command: [./web], environment: {A: "1", B: "2"}, ports: {http: ":8080"}, analysis: {slos: [slo.yaml]}}
  other: {command: [./other]}
environments:
  - {name: staging, only: [other]}
  - name: production
    regions: [east, west]
    targets: [{region: east, agents: [east]}, {region: west, agents: [west]}]
    gates: {freezes: {days: {calendar: days.ics}}}
`
	load := func(text string) Config {
		t.Helper()
		p, diags, err := Load(fstest.MapFS{
			FileName: {Data: []byte(text)}, "days.ics": {Data: []byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nDTEND:20260102T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")}, "slo.yaml": {Data: []byte(strings.TrimSpace(slo))},
		}, FileName, Options{})
		if err != nil || p == nil {
			t.Fatalf("%v: %v", err, diags)
		}
		if c := p.Environment("staging").Config("shop", "web"); len(c.Placements) != 0 {
			t.Errorf("where it is not released it is %+v", c)
		}
		return p.Environment("production").Config("shop", "web")
	}
	digest := func(c Config) string {
		t.Helper()
		d, err := c.Digest()
		if err != nil || !strings.HasPrefix(d, "sha256:") || len(d) != 71 {
			t.Fatalf("the digest is %q, %v", d, err)
		}
		return d
	}
	c := load(file)
	if len(c.Placements) != 2 || c.Placement("west") != c.Placements[1] || c.Placement("north") != nil {
		t.Errorf("it is %+v", c)
	}
	one := digest(c)
	b, err := c.JSON()
	if err != nil || strings.Contains(string(b), "freeze") || strings.Contains(string(b), "days") {
		t.Errorf("it is %s, %v", b, err)
	}
	var back Config
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if digest(back) != one {
		t.Error("what was kept has another digest")
	}
	for what, change := range map[string][2]string{
		"a comment":                 {"services:", "# services\nservices:"},
		"the order of variables":    {`A: "1", B: "2"`, `B: "2", A: "1"`},
		"another service":           {"./other", "./else"},
		"gates":                     {"gates: {freezes: {days: {calendar: days.ics}}}", "gates: {approvals: {count: 2}}"},
		"where something else goes": {"only: [other]", "only: [other], environment: {C: d}"},
	} {
		if digest(load(strings.Replace(file, change[0], change[1], 1))) != one {
			t.Errorf("%s changes it", what)
		}
	}
	for what, change := range map[string][2]string{
		"a variable": {`A: "1"`, `A: "3"`}, "the command": {"[./web]", "[./web, -v]"}, "a target": {"agents: [west]", "agents: [west, best]"},
	} {
		if digest(load(strings.Replace(file, change[0], change[1], 1))) == one {
			t.Errorf("%s does not change it", what)
		}
	}
}

const slo = `
apiVersion: openslo/v1
kind: SLO
metadata: {name: answered}
spec:
  service: web
  indicator:
    metadata: {name: answered}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: 'good{version="$version"}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'all{version="$version"}'}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.999}]
`
