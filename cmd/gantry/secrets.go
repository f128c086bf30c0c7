package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/pipeline"
)

// readSecrets gathers secrets from files and flags; flags win. An error never shows a value, and neither shows what stands
// in a value's place.
func readSecrets(files, flags []string) (*pipeline.Map, error) {
	all := pipeline.NewMap()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read secrets: %w", err)
		}
		m, err := parseSecretFile(content)
		if err != nil {
			return nil, fmt.Errorf("read secrets: %s:%w", file, err)
		}
		all.Merge(m)
	}
	for _, f := range flags {
		name, value, given := strings.Cut(f, "=")
		if err := checkSecretName(name); err != nil {
			return nil, usageError{fmt.Errorf("--secret: %w", err)}
		}
		if !given {
			var ok bool
			if value, ok = os.LookupEnv(name); !ok {
				return nil, usagef("--secret %s: there is no environment variable of that name", name)
			}
		}
		all.Set(name, value)
	}
	return all, nil
}

// checkSecretName holds a name against the forge's rule: letters, digits and underscores, no digit first.
func checkSecretName(name string) error {
	if name == "" {
		return errors.New("a name is missing")
	}
	for i, c := range name {
		if c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return errors.New("the name of a secret has only letters, digits and underscores, and begins with no digit")
	}
	return nil
}

// lineError is a mistake at a line of a file with secrets.
type lineError struct {
	line int
	msg  string
}

func (e *lineError) Error() string { return fmt.Sprintf("%d: %s", e.line, e.msg) }

// parseSecretFile reads a JSON object of texts, or lines of the form NAME=value: values may stand in quotes, single ones
// take everything as it is, double ones know \n, \r, \t, \" and \\, and both may run over several lines. Blank lines,
// lines that begin with # and a leading "export" do not count.
func parseSecretFile(content []byte) (*pipeline.Map, error) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(content) {
		return nil, &lineError{1, "the file is not UTF-8 text"}
	}
	if trimmed := bytes.TrimLeft(content, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseSecretJSON(content)
	}
	d := dotenv{text: strings.ReplaceAll(string(content), "\r\n", "\n"), line: 1}
	out := pipeline.NewMap()
	for {
		name, value, ok, err := d.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return out, nil
		}
		out.Set(name, value)
	}
}

func parseSecretJSON(content []byte) (*pipeline.Map, error) {
	v, err := pipeline.DecodeJSON(content)
	if err != nil {
		line := 1
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line += bytes.Count(content[:min(int(syntax.Offset), len(content))], []byte("\n"))
		}
		return nil, &lineError{line, "the file begins like JSON but is not"}
	}
	m, ok := v.(*pipeline.Map)
	if !ok {
		return nil, &lineError{1, "expected a JSON object of names and texts"}
	}
	for _, name := range m.Keys() {
		if err := checkSecretName(name); err != nil {
			return nil, &lineError{1, err.Error()}
		}
		switch v, _ := m.Get(name); v.(type) {
		case string:
		case float64, bool:
			m.Set(name, pipeline.Text(v))
		default:
			return nil, &lineError{1, fmt.Sprintf("the value of %s is no text", name)}
		}
	}
	return m, nil
}

// dotenv walks through the assignments of a file.
type dotenv struct {
	text string
	line int
}

func (d *dotenv) next() (name, value string, ok bool, err error) {
	for {
		if d.text == "" {
			return "", "", false, nil
		}
		line, rest, _ := strings.Cut(d.text, "\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			d.text = rest
			d.line++
			continue
		}
		name, _, found := strings.Cut(trimmed, "=")
		if !found {
			return "", "", false, &lineError{d.line, "expected NAME=value"}
		}
		name = strings.TrimSpace(name)
		if after, ok := strings.CutPrefix(name, "export "); ok {
			name = strings.TrimSpace(after)
		}
		if err := checkSecretName(name); err != nil {
			return "", "", false, &lineError{d.line, err.Error()}
		}
		d.text = strings.TrimLeft(d.text[strings.IndexByte(d.text, '=')+1:], " \t")
		value, err := d.value()
		return name, value, err == nil, err
	}
}

// value reads what stands behind the equals sign, up to the end of its line.
func (d *dotenv) value() (string, error) {
	if d.text == "" || d.text[0] != '"' && d.text[0] != '\'' {
		line, rest, _ := strings.Cut(d.text, "\n")
		d.text = rest
		d.line++
		// As shells have it, a # after a blank begins a comment.
		if i := strings.Index(line, " #"); i >= 0 {
			line = line[:i]
		}
		return strings.TrimSpace(line), nil
	}
	quote := d.text[0]
	var b strings.Builder
	for i := 1; i < len(d.text); i++ {
		c := d.text[i]
		switch {
		case c == quote:
			rest, after, _ := strings.Cut(d.text[i+1:], "\n")
			start := d.line
			d.line += strings.Count(d.text[:i], "\n") + 1
			d.text = after
			if rest = strings.TrimSpace(rest); rest != "" && rest[0] != '#' {
				return "", &lineError{start, "there is more behind the closing quote"}
			}
			return b.String(), nil
		case c == '\\' && quote == '"' && i+1 < len(d.text):
			i++
			switch e := d.text[i]; e {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '"', '\\', '$', '`':
				b.WriteByte(e)
			default:
				b.WriteByte('\\')
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", &lineError{d.line, "the quote is never closed"}
}
