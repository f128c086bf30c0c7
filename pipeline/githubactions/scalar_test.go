package githubactions

import (
	"math"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/pipeline"
)

func TestResolveScalar(t *testing.T) {
	for _, c := range []struct {
		text, tag string
		want      pipeline.Data
	}{
		{"", "", nil}, {"~", "", nil}, {"Null", "", nil}, {"nULL", "", "nULL"},
		{"true", "", true}, {"False", "", false}, {"tRUE", "", "tRUE"}, {"on", "", "on"}, {"yes", "", "yes"}, {"y", "", "y"},
		{"0", "", 0.0}, {"+12", "", 12.0}, {"-12", "", -12.0}, {"0755", "", 755.0}, {"0o17", "", 15.0}, {"0x1F", "", 31.0},
		{"0o8", "", "0o8"}, {"0x", "", "0x"}, {"-0x1", "", "-0x1"}, {"0b1", "", "0b1"}, {"1_000", "", "1_000"}, {"++1", "", "++1"},
		{"1.5", "", 1.5}, {".5", "", 0.5}, {"5.", "", 5.0}, {"1e3", "", 1000.0}, {"-1.5E-1", "", -0.15}, {".", "", "."}, {"1e", "", "1e"}, {"e1", "", "e1"},
		{"1.2.3", "", "1.2.3"}, {".inf", "", math.Inf(1)}, {"-.INF", "", math.Inf(-1)}, {"Infinity", "", "Infinity"}, {"12:30", "", "12:30"}, {"2024-01-01", "", "2024-01-01"},
		{"1", "!!str", "1"}, {"true", "!!bool", true}, {"3", "!!float", 3.0}, {"0o10", "!!int", 8.0}, {"", "!!null", nil},
	} {
		tok := &token{text: c.text}
		if !resolveScalar(tok, c.tag) {
			t.Errorf("%q %s is refused", c.text, c.tag)
		} else if got := tok.data(); got != c.want {
			t.Errorf("%q %s: %v (%T), want %v", c.text, c.tag, got, got, c.want)
		}
	}
	nan := &token{text: ".NaN"}
	if resolveScalar(nan, ""); nan.kind != kindNumber || !math.IsNaN(nan.num) {
		t.Errorf(".NaN is %v", nan.data())
	}
	quoted := &token{text: "1", style: yaml.SingleQuotedStyle}
	if resolveScalar(quoted, ""); quoted.data() != "1" {
		t.Errorf("a quoted 1 is %v", quoted.data())
	}
	for _, c := range [][2]string{{"test", "!!bool"}, {"1.5", "!!int"}, {"x", "!!float"}, {"x", "!!null"}, {"x", "!!binary"}, {"x", "!own"}} {
		if resolveScalar(&token{text: c[0]}, c[1]) {
			t.Errorf("%q is accepted as %s", c[0], c[1])
		}
	}
}
