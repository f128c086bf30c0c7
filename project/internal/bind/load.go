package bind

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// The bounds of a file: its bytes, how deep it may nest, and how many nodes it may have, where an alias counts with all it stands for.
const (
	MaxSize  = 1 << 20
	maxDepth = 50
	maxNodes = 100_000
)

const tagHint = "use !!str, !!int, !!float, !!bool or !!null, or no tag"

type loader struct {
	src   *Source
	diags *pipeline.Diagnostics
	nodes int
	// open are the nodes being expanded, to find aliases that contain themselves.
	open map[*yaml.Node]bool
	full bool
}

// Load reads the one document of a file. It returns nil where there is nothing to go on with; then an error is in diags. what says in
// messages what the file is: "gantry.yaml".
func Load(file, what string, content []byte, diags *pipeline.Diagnostics) *Node {
	docs, src := documents(file, what, content, diags)
	if len(docs) > 1 {
		diags.Add(pipeline.Diagnostic{Pos: src.pos(max(1, docs[1].Line), max(1, docs[1].Column)), Code: CodeDocuments,
			Message: "the file has more than one YAML document", Hint: "remove the line `---`, or split the file"})
		return nil
	}
	l := &loader{src: src, diags: diags, open: map[*yaml.Node]bool{}}
	for _, d := range docs {
		return l.node(d.Content[0], 0)
	}
	return nil
}

// LoadAll reads all documents of a file, as [Load] does with one. Documents that are past the bounds are left out.
func LoadAll(file, what string, content []byte, diags *pipeline.Diagnostics) []*Node {
	docs, src := documents(file, what, content, diags)
	l := &loader{src: src, diags: diags, open: map[*yaml.Node]bool{}}
	var out []*Node
	for _, d := range docs {
		if n := l.node(d.Content[0], 0); n != nil {
			out = append(out, n)
		}
	}
	return out
}

// documents parses the YAML of a file. Documents without content are left out, except that a file of nothing else is an error.
func documents(file, what string, content []byte, diags *pipeline.Diagnostics) ([]*yaml.Node, *Source) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	start := pipeline.Pos{File: file, Line: 1, Col: 1}
	if len(content) > MaxSize {
		diags.Errorf(start, CodeFileSize, "the file has %d bytes, the limit is %d", len(content), MaxSize)
		return nil, nil
	}
	src := newSource(file, content)
	if at, problem := firstUnreadable(content); at >= 0 {
		diags.Add(pipeline.Diagnostic{Pos: src.at(at), Code: CodeEncoding, Message: problem, Hint: what + " is UTF-8 text"})
		return nil, src
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var docs []*yaml.Node
	for {
		doc := new(yaml.Node)
		err := decode(decoder, doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			diags.Add(syntaxError(src, err))
			return nil, src
		}
		if len(doc.Content) > 0 {
			docs = append(docs, doc)
		}
	}
	if len(docs) == 0 {
		diags.Errorf(start, CodeEmpty, "the file is empty")
	}
	return docs, src
}

// decode reads the next document. The library reports some impossible states by a panic; they are syntax errors here.
func decode(d *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return d.Decode(into)
}

// firstUnreadable finds the first byte that no text file has.
func firstUnreadable(content []byte) (at int, problem string) {
	for i := 0; i < len(content); {
		r, size := utf8.DecodeRune(content[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return i, fmt.Sprintf("byte 0x%02x is not valid UTF-8", content[i])
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f:
			return i, fmt.Sprintf("control character 0x%02x: the file is not text", r)
		}
		i += size
	}
	return -1, ""
}

var (
	yamlError     = lazy.New(`^yaml: (?:line \d+: )?(.*)$`)
	unknownAnchor = lazy.New(`^unknown anchor '(.*)' referenced$`)
)

// problemOf returns what the YAML library has to say, without the line.
func problemOf(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	if m := yamlError.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return text
}

// syntaxError gives an error of the YAML library its place. The library often names the line where a structure began; the line that people
// look for is the last one of the shortest beginning of the file that has the same error.
func syntaxError(src *Source, err error) pipeline.Diagnostic {
	problem := problemOf(err)
	d := pipeline.Diagnostic{Code: CodeYAML, Message: "not valid YAML: " + problem}
	if m := unknownAnchor.FindStringSubmatch(problem); m != nil {
		d.Message = fmt.Sprintf("the alias *%s has no anchor &%[1]s before it", m[1])
		d.Hint, d.Width = "an anchor stands in the same file, above its aliases", len(m[1])+1
		if i := bytes.Index(src.text, []byte("*"+m[1])); i >= 0 {
			d.Pos = src.at(i)
			return d
		}
	}
	line := 1 + sort.Search(len(src.lines)-1, func(i int) bool {
		decoder := yaml.NewDecoder(bytes.NewReader(src.text[:src.lines[i+1]]))
		for {
			var n yaml.Node
			if err := decode(decoder, &n); err != nil {
				return problemOf(err) == problem
			}
		}
	})
	text := src.line(line)
	indent := len(text) - len(bytes.TrimLeft(text, " \t"))
	d.Pos = pipeline.Pos{File: src.file, Line: line, Col: indent + 1}
	d.Width = max(1, len(bytes.TrimSpace(text)))
	switch {
	case bytes.ContainsRune(text[:indent], '\t'):
		d.Hint = "YAML is indented by spaces, never by tabs"
	case strings.Contains(problem, "mapping values are not allowed"):
		d.Hint = "check the indentation, and put quotes around text that holds `: `"
	case strings.Contains(problem, "expected key"), strings.Contains(problem, "expected '-' indicator"):
		d.Hint = "check the indentation: keys of one mapping stand in one column"
	case strings.Contains(problem, "cannot start any token"):
		d.Hint = "put quotes around text that starts with a special character"
	}
	return d
}

func (l *loader) errorf(n *Node, code, hint, format string, args ...any) {
	n.bad = true
	l.diags.Add(pipeline.Diagnostic{Pos: n.Pos, Width: n.Width(), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// node turns a YAML node and what is below it into nodes with places. It returns nil when the file is past its bounds.
func (l *loader) node(y *yaml.Node, depth int) *Node {
	before := l.nodes
	n := l.convert(y, depth)
	if n != nil {
		n.size = l.nodes - before
	}
	return n
}

func (l *loader) convert(y *yaml.Node, depth int) *Node {
	n := &Node{Pos: l.src.pos(y.Line, y.Column), Text: y.Value, style: y.Style}
	if l.nodes++; l.nodes > maxNodes || depth > maxDepth {
		switch {
		case l.full:
		case depth > maxDepth:
			l.errorf(n, CodeDepth, "", "the file nests more than %d levels", maxDepth)
		default:
			l.errorf(n, CodeNodes, "aliases count with all that they stand for", "the file has more than %d nodes", maxNodes)
		}
		l.full = true
		return nil
	}
	if tag := y.ShortTag(); y.Style&yaml.TaggedStyle != 0 && (y.Kind == yaml.SequenceNode && tag != "!!seq" || y.Kind == yaml.MappingNode && tag != "!!map") {
		n.Text = tag
		l.errorf(n, CodeTag, tagHint, "the tag %q is not supported", tag)
	}
	switch y.Kind {
	case yaml.AliasNode:
		if l.open[y.Alias] {
			n.Text = "*" + y.Value
			l.errorf(n, CodeAlias, "an alias cannot stand within what its anchor names", "the alias *%s contains itself", y.Value)
			return n
		}
		return l.node(y.Alias, depth+1)
	case yaml.ScalarNode:
		l.scalar(n, y)
		return n
	case yaml.SequenceNode:
		n.Kind = List
		l.open[y] = true
		defer delete(l.open, y)
		n.Items = make([]*Node, 0, len(y.Content))
		for _, c := range y.Content {
			item := l.node(c, depth+1)
			if item == nil {
				return nil
			}
			n.Items = append(n.Items, item)
		}
		return n
	case yaml.MappingNode:
		n.Kind = Map
		l.open[y] = true
		defer delete(l.open, y)
		if !l.mapping(n, y, depth) {
			return nil
		}
		return n
	}
	l.errorf(n, CodeYAML, "", "a scalar, a list or a mapping was expected")
	return n
}

func (l *loader) scalar(n *Node, y *yaml.Node) {
	tag := ""
	if y.Style&yaml.TaggedStyle != 0 {
		tag = y.ShortTag()
	}
	if resolve(n, tag) {
		return
	}
	n.Kind = Text
	switch tag {
	case "!!null", "!!bool", "!!int", "!!float":
		l.errorf(n, CodeScalar, "", "%q is no value of the type %s", y.Value, tag)
	default:
		l.errorf(n, CodeTag, tagHint, "the tag %q is not supported", tag)
	}
}

// mapping reads members. Those of merge keys (<<, https://yaml.org/type/merge.html) come after the mapping's own, which win.
func (l *loader) mapping(n *Node, y *yaml.Node, depth int) (ok bool) {
	n.Members = make([]Pair, 0, len(y.Content)/2)
	seen := make(map[string]*Node, len(y.Content)/2)
	type merge struct{ key, from *Node }
	var merges []merge
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := l.node(y.Content[i], depth+1)
		if key == nil {
			return false
		}
		value := l.node(y.Content[i+1], depth+1)
		if value == nil {
			return false
		}
		if key.Kind == List || key.Kind == Map || key.Kind == Null {
			l.errorf(key, CodeKey, "", "a key has to be text, not %s", key.Kind)
			continue
		}
		key.Kind = Text
		if key.Text == "<<" && y.Content[i].Tag == "!!merge" {
			merges = append(merges, merge{key, value})
			continue
		}
		if first, dup := seen[key.Text]; dup {
			l.errorf(key, CodeDuplicateKey, fmt.Sprintf("it stands at line %d already", first.Pos.Line), "%q is already defined", key.Text)
			continue
		}
		seen[key.Text] = key
		n.Members = append(n.Members, Pair{key, value})
	}
	for _, m := range merges {
		from := []*Node{m.from}
		if m.from.Kind == List {
			from = m.from.Items
		}
		for _, f := range from {
			if f.bad {
				continue
			}
			if f.Kind != Map {
				l.errorf(m.key, CodeMerge, "write <<: *anchor, or <<: [*one, *two]", "a merge key needs a mapping or a list of them, not %s", f.Kind)
				break
			}
			for _, p := range f.Members {
				if seen[p.Key.Text] == nil {
					seen[p.Key.Text] = p.Key
					n.Members = append(n.Members, p)
				}
			}
		}
	}
	return true
}
