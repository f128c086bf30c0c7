package project

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// Files that would take for ever, or more memory than there is, are refused.
func TestLimits(t *testing.T) {
	list := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, strings.ReplaceAll(format, "#", "%[1]d"), i)
		}
		return b.String()
	}
	const env = "environments: [production]\n"
	web := func(members string) string { return "services: {web: {command: [./web], " + members + "}}\n" }
	regions := "environments: [{name: a, regions: [[" + list(900, "r#") + "]]}, {name: b, regions: [[" + list(900, "r#") + "]]}, {name: c, regions: [[" + list(900, "r#") + "]]}]\n"
	for _, tt := range []struct{ name, src, code string }{
		{"services", "services: {" + list(maxServices+1, "s#: {command: [x]}") + "}\n" + env, codeTooMany},
		{"placements", web("") + regions, codeTooMany},
		{"nodes of placements", web("environment: {"+list(5000, "V#: x")+"}") + regions, codeTooMany},
		{"arguments", "services: {web: {command: [" + list(1001, "a#") + "]}}\n" + env, "unexpected-value"},
		{"ports", web("ports: {"+list(201, "p#: {}")+"}") + env, "unexpected-value"},
		{"targets", web("") + "environments: [{name: a, targets: [" + list(101, "{agents: [a#]}") + "]}]\n", "unexpected-value"},
		{"routes", web("ports: {http: {listen: ':80', hosts: ["+list(1000, "h#.example.com")+"], paths: ["+list(1000, "/#")+"]}}") + env, codeTooMany},
		{"names that there are not", "services: {web: {command: [x], needs: [" + list(1000, "n#") + "]}}\n" + env, codeUnknownName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, diags := Parse("gantry.yaml", []byte(tt.src))
			if p != nil || !slices.ContainsFunc(diags, func(d pipeline.Diagnostic) bool { return d.Code == tt.code }) {
				t.Errorf("a project: %v, and not %s: %.500v", p != nil, tt.code, diags)
			}
		})
	}
}
