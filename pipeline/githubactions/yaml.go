package githubactions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/pipeline"
)

const (
	// maxDepth bounds how deep a file may nest, maxTokens how many nodes it may have once its aliases are expanded.
	maxDepth  = 100
	maxTokens = 500_000
)

// loader turns the text of a file into tokens.
type loader struct {
	src    *source
	diags  *pipeline.Diagnostics
	tokens int
	// open are the nodes being expanded, to find aliases that contain themselves.
	open map[*yaml.Node]bool
	full bool
}

// load reads the one document of a file. It returns nil where there is nothing to go on with; then an error is reported. The
// source serves for places within the file.
func load(file string, content []byte, maxSize int, diags *pipeline.Diagnostics) (*token, *source) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	src := newSource(file, content)
	start := pipeline.Pos{File: file, Line: 1, Col: 1}
	if len(content) > maxSize {
		diags.Add(pipeline.Diagnostic{Pos: start, Code: codeFileSize,
			Message: fmt.Sprintf("the file has %d bytes, the limit is %d", len(content), maxSize),
			Hint:    "move parts of it to reusable workflows or scripts"})
		return nil, src
	}
	if at, what := firstUnreadable(content); at >= 0 {
		diags.Add(pipeline.Diagnostic{Pos: src.at(at), Code: codeEncoding, Message: what,
			Hint: "workflow files are UTF-8 text"})
		return nil, src
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var doc yaml.Node
	if err := decode(decoder, &doc); err != nil {
		if errors.Is(err, io.EOF) {
			diags.Add(pipeline.Diagnostic{Pos: start, Code: codeEmpty, Message: "the file is empty",
				Hint: "a workflow needs at least `on` and `jobs`"})
			return nil, src
		}
		diags.Add(syntaxError(src, err))
		return nil, src
	}
	var next yaml.Node
	switch err := decode(decoder, &next); {
	case err == nil:
		diags.Add(pipeline.Diagnostic{Pos: src.pos(max(1, next.Line), max(1, next.Column)), Code: codeDocuments,
			Message: "the file has more than one YAML document", Hint: "remove the line `---`, or split the file"})
		return nil, src
	case !errors.Is(err, io.EOF):
		diags.Add(syntaxError(src, err))
		return nil, src
	}
	l := &loader{src: src, diags: diags, open: map[*yaml.Node]bool{}}
	if len(doc.Content) == 0 {
		return nil, src
	}
	root := l.token(doc.Content[0], 0)
	if root == nil {
		return nil, src
	}
	return root, src
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
func firstUnreadable(content []byte) (at int, what string) {
	for i := 0; i < len(content); {
		b := content[i]
		if b < utf8.RuneSelf {
			if b < ' ' && b != '\t' && b != '\n' && b != '\r' || b == 0x7f {
				return i, fmt.Sprintf("control character 0x%02x: the file is not text", b)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(content[i:])
		if r == utf8.RuneError && size == 1 {
			return i, fmt.Sprintf("byte 0x%02x is not valid UTF-8", b)
		}
		i += size
	}
	return -1, ""
}

var (
	yamlError     = regexp.MustCompile(`^yaml: (?:line \d+: )?(.*)$`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// problemOf returns what the YAML library has to say, without the line.
func problemOf(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	if m := yamlError.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return text
}

// syntaxError gives an error of the YAML library its place. The library often names the line where the structure began that the
// error is in; the line that people look for is the last one of the shortest beginning of the file with the same error.
func syntaxError(src *source, err error) pipeline.Diagnostic {
	problem := problemOf(err)
	d := pipeline.Diagnostic{Code: codeYAML, Message: "not valid YAML: " + problem}
	if a := unknownAnchor.FindStringSubmatch(problem); a != nil {
		d.Message = fmt.Sprintf("the alias *%s has no anchor &%[1]s before it", a[1])
		d.Hint = "an anchor has to stand in the same file, above its aliases"
		d.Width = len(a[1]) + 1
		if i := bytes.Index(src.text, []byte("*"+a[1])); i >= 0 {
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
	d.Pos = pipeline.Pos{File: src.file, Line: line, Col: len(text) - len(bytes.TrimLeft(text, " \t")) + 1}
	d.Width = max(1, len(bytes.TrimSpace(text)))
	switch {
	case bytes.ContainsRune(text[:d.Pos.Col-1], '\t'):
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

func (l *loader) errorf(t *token, code, hint, format string, args ...any) {
	t.bad = true
	l.diags.Add(pipeline.Diagnostic{Pos: t.pos, Width: t.width(), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// token turns a node and what is below it into tokens. It returns nil when the file is past its bounds.
func (l *loader) token(n *yaml.Node, depth int) *token {
	t := &token{pos: l.src.pos(n.Line, n.Column), text: n.Value, style: n.Style}
	if l.tokens++; l.tokens > maxTokens || depth > maxDepth {
		if !l.full {
			l.full = true
			if depth > maxDepth {
				l.errorf(t, codeDepth, "", "the file nests more than %d levels", maxDepth)
			} else {
				l.errorf(t, codeNodes, "aliases count with all that they stand for", "the file has more than %d nodes", maxTokens)
			}
		}
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		if l.open[n.Alias] {
			t.text = "*" + n.Value
			l.errorf(t, codeAlias, "an alias cannot stand within what its anchor names", "the alias *%s contains itself", n.Value)
			return t
		}
		return l.token(n.Alias, depth+1)
	case yaml.ScalarNode:
		tag := ""
		if n.Style&yaml.TaggedStyle != 0 {
			tag = n.ShortTag()
		}
		if !resolveScalar(t, tag) {
			t.kind = kindString
			switch tag {
			case "!!str", "!!null", "!!bool", "!!int", "!!float":
				l.errorf(t, codeScalar, "", "%q is no value of the type %s", n.Value, tag)
			default:
				l.errorf(t, codeTag, "use !!str, !!int, !!float, !!bool or !!null, or no tag", "the tag %q is not supported", tag)
			}
		}
		return t
	case yaml.SequenceNode:
		t.kind = kindSequence
		l.open[n] = true
		defer delete(l.open, n)
		t.items = make([]*token, 0, len(n.Content))
		for _, c := range n.Content {
			item := l.token(c, depth+1)
			if item == nil {
				return nil
			}
			t.items = append(t.items, item)
		}
		return t
	case yaml.MappingNode:
		t.kind = kindMapping
		l.open[n] = true
		defer delete(l.open, n)
		return l.mapping(t, n, depth)
	}
	l.errorf(t, codeYAML, "", "expected a scalar, a sequence or a mapping")
	return t
}

func (l *loader) mapping(t *token, n *yaml.Node, depth int) *token {
	t.pairs = make([]pair, 0, len(n.Content)/2)
	seen := make(map[string]*token, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := l.token(n.Content[i], depth+1)
		if key == nil {
			return nil
		}
		value := l.token(n.Content[i+1], depth+1)
		if value == nil {
			return nil
		}
		switch key.kind {
		case kindSequence, kindMapping:
			l.errorf(key, codeKey, "", "a key has to be text, not %s", key.kind)
			continue
		case kindNull:
			key.text = ""
		case kindBool, kindNumber:
			key.text = pipeline.Text(key.data())
		}
		key.kind = kindString
		if key.text == "<<" && n.Content[i].Tag == "!!merge" {
			l.errorf(key, codeMerge, "repeat the members, or use an alias for the whole mapping", "merge keys (<<) are not part of the workflow syntax")
			continue
		}
		if !strings.Contains(key.text, "${{") {
			// Keys are compared without case, as the vendor does.
			folded := strings.ToLower(key.text)
			if first, ok := seen[folded]; ok {
				l.errorf(key, codeDuplicateKey, fmt.Sprintf("it stands at line %d already; keys are compared without case", first.pos.Line), "%q is already defined", key.text)
				continue
			}
			seen[folded] = key
		}
		t.pairs = append(t.pairs, pair{key, value})
	}
	return t
}
