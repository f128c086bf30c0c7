package bind

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

func load(t *testing.T, text string) (*Node, pipeline.Diagnostics) {
	t.Helper()
	var diags pipeline.Diagnostics
	return Load("test.yaml", "a test", []byte(text), &diags), diags
}

func TestScalars(t *testing.T) {
	for text, want := range map[string]any{
		"~": nil, "null": nil, "'null'": "null", "true": true, "False": false, "yes": "yes", "on": "on", "off": "off",
		"1": 1.0, "-1": -1.0, "+1": 1.0, "0755": 755.0, "0o17": 15.0, "0x1F": 31.0, "1.10": 1.1, "1e3": 1000.0, ".5": 0.5, "1.": 1.0,
		"1e999": "1e999", ".inf": ".inf", ".nan": ".nan", "1_000": "1_000", "09:30": "09:30", "2026-01-01": "2026-01-01", "0b1": "0b1", "1.2.3": "1.2.3",
		"!!str 1": "1", "!!int 5": 5.0, "!!float 5": 5.0, "!!null ''": nil, "!!bool 'true'": true, `"1"`: "1", "|\n  a\n  b": "a\nb",
	} {
		n, diags := load(t, "v: "+text)
		if n == nil || diags.HasErrors() {
			t.Errorf("%s: %v", text, diags.Err())
			continue
		}
		got := n.Get("v").Data()
		if s, ok := got.(string); ok {
			got = strings.TrimSuffix(s, "\n")
		}
		if got != want {
			t.Errorf("%s: got %v (%T), want %v", text, got, got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	n, diags := load(t, `
one: &one {a: 1, b: 1}
two: &two {b: 2, c: 2}
own: {<<: *one, b: 3}
both: {<<: [*one, *two], d: 4}
quoted: {"<<": 5}
`)
	if n == nil || diags.HasErrors() {
		t.Fatal(diags.Err())
	}
	got, err := json.Marshal(n.Data())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"both":{"a":1,"b":1,"c":2,"d":4},"one":{"a":1,"b":1},"own":{"a":1,"b":3},"quoted":{"\u003c\u003c":5},"two":{"b":2,"c":2}}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestPlaces(t *testing.T) {
	n, _ := load(t, "\ufeffa: é\nüü: {ö: [x, 'y z']}\n")
	list := n.Get("üü").Get("ö")
	for _, tt := range []struct {
		n               *Node
		line, col, wide int
	}{
		{n.Key("a"), 1, 1, 1}, {n.Get("a"), 1, 4, 2}, {n.Key("üü"), 2, 1, 4}, {list, 2, 12, 1}, {list.Items[1], 2, 16, 5},
	} {
		if tt.n.Pos.Line != tt.line || tt.n.Pos.Col != tt.col || tt.n.Width() != tt.wide {
			t.Errorf("%q: got %d:%d and %d bytes, want %d:%d and %d", tt.n.Text, tt.n.Pos.Line, tt.n.Pos.Col, tt.n.Width(), tt.line, tt.col, tt.wide)
		}
	}
}

// Files on one line do not take longer than others.
func BenchmarkOneLine(b *testing.B) {
	for _, item := range []string{"a", "é"} {
		content := []byte("[" + strings.Repeat(item+", ", maxNodes-10) + "]")
		b.Run(item, func(b *testing.B) {
			for b.Loop() {
				var diags pipeline.Diagnostics
				if Load("bench.yaml", "a test", content, &diags) == nil {
					b.Fatal(diags.Err())
				}
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	for text, want := range map[string]string{
		"a: \x01":                       CodeEncoding,
		"a: \xff":                       CodeEncoding,
		"":                              CodeEmpty,
		"# nothing":                     CodeEmpty,
		"a: [":                          CodeYAML,
		"a: !!int x":                    CodeScalar,
		"a: !mine x":                    CodeTag,
		"a: !mine [x]":                  CodeTag,
		"[a]: b":                        CodeKey,
		"~: b":                          CodeKey,
		"a: 1\na: 2":                    CodeDuplicateKey,
		"a: 1\n---\na: 2":               CodeDocuments,
		"<<: 1":                         CodeMerge,
		"a: &a [*a]":                    CodeAlias,
		strings.Repeat("[", maxDepth+2): CodeYAML,
		strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2): CodeDepth,
		strings.Repeat("- a\n", maxNodes):                                 CodeNodes,
		strings.Repeat(" ", MaxSize+1):                                    CodeFileSize,
	} {
		_, diags := load(t, text)
		if len(diags) != 1 || diags[0].Code != want {
			t.Errorf("%.40q: got %v, want %s", text, diags, want)
		}
	}
}

// thing has a member of each sort.
type thing struct {
	text  string
	word  string
	flag  bool
	count int
	share float64
	list  []string
	named []*thing
	map1  map[string]string
	name  string
}

var anyKey = Keys{What: "a key", Form: "small letters", Pattern: lazy.New(`^[a-z]+$`)}

func (x *thing) object() Object {
	return Object{
		What: "a thing",
		Members: []Member{
			{Key: "text", Value: String(&x.text, "the text"), Required: true, Doc: "Some text."},
			{Key: "word", Value: Words(&x.word, "the word", "one", "two"), Doc: "A word."},
			{Key: "flag", Value: Flag(&x.flag, "the flag"), Doc: "Yes or no."},
			{Key: "count", Value: Int(&x.count, "the count", 1, 10), Doc: "How many."},
			{Key: "share", Value: Percent(&x.share, "the share", Range{Least: 0, Most: 100}), Doc: "How much."},
			{Key: "list", Value: Either("the list", One(&x.list, item), Items(&x.list, "the list", 1, item)), Doc: "Several."},
			{Key: "named", Value: Named(&x.named, "the things", anyKey, 0, func(n string) *thing { return &thing{name: n, count: 5} }, func(t *thing) string { return t.name },
				func(t *thing) Value { return Int(&t.count, "the count", 1, 10) }), Doc: "By name."},
			{Key: "map", Value: Texts(&x.map1, "the map", anyKey), Doc: "Texts."},
		},
		Choices: []Choice{{Keys: []string{"word", "flag"}, Reset: func() { x.word, x.flag = "", false }}},
	}
}

func item(s *string) Value { return String(s, "an item") }

// What is read twice is merged: what is not there stays, lists are replaced, a choice takes back the other.
func TestMergedReading(t *testing.T) {
	var diags pipeline.Diagnostics
	r := NewReader(&diags)
	x := &thing{}
	for _, text := range []string{
		"{text: a, word: one, count: 3, list: [a, b], named: {a: 1, b: 2}, map: {a: 1.10, b: true}}",
		"{text: b, flag: true, share: 5%, list: c, named: {b: 3, c: 4}, map: {b: x}}",
	} {
		n, _ := load(t, text)
		r.Read(n, Of(x.object()))
	}
	if len(diags) > 0 {
		t.Fatal(diags.Err())
	}
	want := &thing{text: "b", flag: true, count: 3, share: 5, list: []string{"c"}, map1: map[string]string{"a": "1.10", "b": "x"},
		named: []*thing{{name: "a", count: 1}, {name: "b", count: 3}, {name: "c", count: 4}}}
	if diff := cmp.Diff(want, x, cmp.AllowUnexported(thing{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if r.At(&x.text) == nil || r.At(&x.count) == nil || r.AtKey(&x.map1, "a") == nil || r.At(&x.name) != nil {
		t.Error("places were lost, or made up")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"command", "ports", "min-healthy", "cpu"}
	for word, want := range map[string]string{"comand": "command", "prots": "ports", "min_healthy": "min-healthy", "MinHealthy": "min-healthy", "xyz": "", "": "", "cup": "cpu"} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestRanges(t *testing.T) {
	for _, tt := range []struct {
		r    Range
		in   []float64
		out  []float64
		text string
	}{
		{Range{Least: 0, Most: 1}, []float64{0, 1}, []float64{-0.1, 1.1, math.NaN()}, "from 0 to 1"},
		{Range{Least: 0, Most: 1, Above: true}, []float64{0.1, 1}, []float64{0}, "above 0 and up to 1"},
		{Range{Least: 0, Most: 1, Under: true}, []float64{0, 0.9}, []float64{1}, "from 0 and below 1"},
		{Range{Least: 1, Most: math.Inf(1)}, []float64{1, 1e300}, []float64{0}, "of 1 or more"},
		{Range{Least: 0, Most: math.Inf(1), Above: true}, []float64{1}, []float64{0}, "above 0"},
		{Range{Least: math.Inf(-1), Most: math.Inf(1)}, []float64{-1e300}, []float64{math.NaN()}, "of any size"},
	} {
		for _, x := range tt.in {
			if !tt.r.holds(x) {
				t.Errorf("%s does not hold %g", tt.r, x)
			}
		}
		for _, x := range tt.out {
			if tt.r.holds(x) {
				t.Errorf("%s holds %g", tt.r, x)
			}
		}
		if got := tt.r.String(); got != tt.text {
			t.Errorf("got %q, want %q", got, tt.text)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("a: &a [1, {b: *c}]\n<<: *a\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var diags pipeline.Diagnostics
		n := Load("fuzz.yaml", "a test", content, &diags)
		if n == nil && !diags.HasErrors() {
			t.Fatal("neither nodes nor an error")
		}
		if n != nil {
			if _, err := json.Marshal(n.Data()); err != nil {
				t.Fatal(err)
			}
			NewReader(&diags).Read(n, Of((&thing{}).object()))
		}
		for _, d := range diags {
			if d.Pos.Line < 1 || d.Pos.Col < 1 || d.Message == "" || d.Code == "" {
				t.Fatalf("a finding without a place or a text: %+v", d)
			}
		}
	})
}
