package project

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/bind"
)

// The published schema is that of the parser.
func TestSchemaIsMade(t *testing.T) { golden(t, "schema.json", string(makeSchema())) }

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// formCodes are findings that a schema has to have as well.
var formCodes = []string{bind.CodeUnknownKey, bind.CodeType, bind.CodeValue, bind.CodeMissingKey, bind.CodeExclusive}

// textCodes are findings about text that is no JSON.
var textCodes = []string{
	bind.CodeFileSize, bind.CodeEncoding, bind.CodeEmpty, bind.CodeYAML, bind.CodeDocuments, bind.CodeDepth, bind.CodeNodes, bind.CodeAlias,
	bind.CodeTag, bind.CodeScalar, bind.CodeKey, bind.CodeMerge, bind.CodeDuplicateKey,
}

// agree holds schema and parser against each other over a file; it says what is different.
func agree(schema *jsonschema.Schema, content []byte) (form bool, problem string) {
	_, diags := Parse("gantry.yaml", content)
	has := func(codes []string) bool {
		return slices.ContainsFunc(diags, func(d pipeline.Diagnostic) bool {
			return d.Severity == pipeline.Error && slices.Contains(codes, d.Code)
		})
	}
	if has(textCodes) {
		return true, ""
	}
	var ignored pipeline.Diagnostics
	err := schema.Validate(bind.Load("gantry.yaml", FileName, content, &ignored).Data())
	form = has(formCodes)
	if form != (err != nil) {
		return form, fmt.Sprintf("the parser refuses its form: %v (%v)\nthe schema: %v\n%s", form, diags.Err(), err, content)
	}
	return form, ""
}

// What the parser refuses for its form, the schema does too, and nothing else.
func TestSchemaAgrees(t *testing.T) {
	schema := compiled(t)
	for _, file := range append(files(t, "good/*.yaml"), files(t, "bad/*.yaml")...) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if _, problem := agree(schema, read(t, file)); problem != "" {
				t.Error(problem)
			}
		})
	}
}

// The same over files with one or two changes each: members taken away, renamed, and values swapped for others.
func TestSchemaAgreesOnMutants(t *testing.T) {
	schema := compiled(t)
	const rounds = 200
	var seeds [][]byte
	for _, file := range files(t, "good/*.yaml") {
		seeds = append(seeds, read(t, file))
	}
	refused := 0
	for round := range rounds {
		random := rand.New(rand.NewPCG(1, uint64(round)))
		var doc any
		if err := yaml.Unmarshal(seeds[random.IntN(len(seeds))], &doc); err != nil {
			t.Fatal(err)
		}
		m := &mutator{random: random}
		m.collect(doc)
		for range 1 + random.IntN(2) {
			m.mutate()
		}
		content, err := json.Marshal(doc) // is YAML too
		if err != nil {
			t.Fatal(err)
		}
		form, problem := agree(schema, content)
		if problem != "" {
			t.Fatalf("round %d: %s", round, problem)
		}
		if form {
			refused++
		}
	}
	if refused < rounds/4 || refused > rounds*95/100 {
		t.Errorf("%d of %d mutants were refused: the changes are too small or too large to say anything", refused, rounds)
	}
}

// mutator changes documents.
type mutator struct {
	random *rand.Rand
	maps   []map[string]any
	lists  [][]any
}

func (m *mutator) collect(v any) {
	switch v := v.(type) {
	case map[string]any:
		m.maps = append(m.maps, v)
		for _, k := range sortedKeys(v) {
			m.collect(v[k])
		}
	case []any:
		m.lists = append(m.lists, v)
		for _, item := range v {
			m.collect(item)
		}
	}
}

// values are what others are swapped for: of all kinds, and texts of many places.
var values = []any{
	nil, true, false, 0, 1, -1, 0.5, 50, 5.5, 1e9, 70000, "", "none", "tcp", "local", "acme", "5%", "30s", "1h30m", "256Mi", "500m", "/healthz", ":8080", "x",
	"canary", "rolling", "blue-green", "rollback", "equal", "mon-fri", "09:30", "2026-12-24", "docker", "process", "Europe/London", "30 9 * * 1-5", "a b", "UPPER",
	[]any{}, []any{"a"}, []any{1}, []any{[]any{"a"}}, map[string]any{}, map[string]any{"a": 1}, map[string]any{"http": "/x"}, map[string]any{"name": "a"},
}

func (m *mutator) mutate() {
	if m.random.IntN(4) == 0 && len(m.lists) > 0 {
		list := m.lists[m.random.IntN(len(m.lists))]
		if len(list) > 0 {
			list[m.random.IntN(len(list))] = values[m.random.IntN(len(values))]
		}
		return
	}
	in := m.maps[m.random.IntN(len(m.maps))]
	keys := sortedKeys(in)
	if len(keys) == 0 {
		return
	}
	key := keys[m.random.IntN(len(keys))]
	switch m.random.IntN(4) {
	case 0:
		delete(in, key)
	case 1:
		// A key of another place, perhaps one that may not stand beside the others here.
		other := sortedKeys(m.maps[m.random.IntN(len(m.maps))])
		if len(other) > 0 {
			in[other[m.random.IntN(len(other))]] = in[key]
		}
	case 2:
		in[strings.ToUpper(key)] = in[key]
		delete(in, key)
	default:
		in[key] = values[m.random.IntN(len(values))]
	}
}
