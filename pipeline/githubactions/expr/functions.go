package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// maxArgs is how many arguments a function can take at most.
const maxArgs = 255

var functions = [...]function{
	{"contains", 2, 2, contains},
	{"startsWith", 2, 2, startsWith},
	{"endsWith", 2, 2, endsWith},
	{"format", 1, maxArgs, format},
	{"join", 1, 2, join},
	{"toJSON", 1, 1, toJSON},
	{"fromJSON", 1, 1, fromJSON},
	{"case", 3, maxArgs, noCase},
	{"hashFiles", 1, maxArgs, nil},
	{"success", 0, 0, nil},
	{"always", 0, 0, nil},
	{"failure", 0, 0, nil},
	{"cancelled", 0, 0, nil},
}

// noCase stands for case, which chooses what to evaluate and so is no plain function.
func noCase([]pipeline.Data) (pipeline.Data, error) {
	return nil, errors.New("case is evaluated by itself")
}

// isStatus reports whether a function tells of the run's state, so that a condition needs no success() in front.
func isStatus(name string) bool {
	switch name {
	case "success", "always", "failure", "cancelled":
		return true
	}
	return false
}

func contains(a []pipeline.Data) (pipeline.Data, error) {
	if list, ok := a[0].([]any); ok {
		for _, v := range list {
			if equal(v, a[1]) {
				return true, nil
			}
		}
		return false, nil
	}
	return primitive(a[0]) && primitive(a[1]) && strings.Contains(fold(a[0]), fold(a[1])), nil
}

func startsWith(a []pipeline.Data) (pipeline.Data, error) {
	return primitive(a[0]) && primitive(a[1]) && strings.HasPrefix(fold(a[0]), fold(a[1])), nil
}

func endsWith(a []pipeline.Data) (pipeline.Data, error) {
	return primitive(a[0]) && primitive(a[1]) && strings.HasSuffix(fold(a[0]), fold(a[1])), nil
}

func fold(v pipeline.Data) string { return foldText(toText(v)) }

func join(a []pipeline.Data) (pipeline.Data, error) {
	sep := ","
	if len(a) > 1 && primitive(a[1]) {
		sep = toText(a[1])
	}
	list, ok := a[0].([]any)
	if !ok {
		if primitive(a[0]) {
			return toText(a[0]), nil
		}
		return "", nil
	}
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = toText(v)
	}
	return strings.Join(parts, sep), nil
}

func format(a []pipeline.Data) (pipeline.Data, error) {
	text := toText(a[0])
	invalid := func() (pipeline.Data, error) {
		return nil, fmt.Errorf("the following format string is invalid: %s", text)
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c != '{' && c != '}':
			b.WriteByte(c)
		case i+1 < len(text) && text[i+1] == c:
			b.WriteByte(c)
			i++
		case c == '}':
			return invalid()
		default:
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return invalid()
			}
			n, err := strconv.ParseUint(text[i+1:i+end], 10, 8)
			if err != nil {
				return invalid()
			}
			if int(n) >= len(a)-1 {
				return nil, fmt.Errorf("the following format string references more arguments than were supplied: %s", text)
			}
			b.WriteString(toText(a[n+1]))
			i += end
		}
	}
	return b.String(), nil
}

func fromJSON(a []pipeline.Data) (pipeline.Data, error) {
	text := toText(a[0])
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("fromJSON: the text is empty; what should have set it?")
	}
	v, err := pipeline.DecodeJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("fromJSON: %w in %s", err, strconv.Quote(shorten(text)))
	}
	return v, nil
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

func toJSON(a []pipeline.Data) (pipeline.Data, error) {
	var b strings.Builder
	if err := writeJSON(&b, a[0], ""); err != nil {
		return nil, err
	}
	return b.String(), nil
}

// maxJSON bounds what toJSON makes, in bytes.
const maxJSON = 10 << 20

func writeJSON(b *strings.Builder, v pipeline.Data, indent string) error {
	if b.Len() > maxJSON {
		return fmt.Errorf("toJSON: the result is larger than %d MiB", maxJSON>>20)
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case string:
		return quoteJSON(b, v)
	case []any:
		if len(v) == 0 {
			b.WriteString("[]")
			return nil
		}
		b.WriteString("[")
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n" + indent + "  ")
			if err := writeJSON(b, e, indent+"  "); err != nil {
				return err
			}
		}
		b.WriteString("\n" + indent + "]")
	case pipeline.Object:
		keys := v.Keys()
		if len(keys) == 0 {
			b.WriteString("{}")
			return nil
		}
		b.WriteString("{")
		for i, k := range keys {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n" + indent + "  ")
			if err := quoteJSON(b, k); err != nil {
				return err
			}
			b.WriteString(": ")
			m, _ := v.Get(k)
			if err := writeJSON(b, m, indent+"  "); err != nil {
				return err
			}
		}
		b.WriteString("\n" + indent + "}")
	default:
		b.WriteString(pipeline.Text(v))
	}
	return nil
}

func quoteJSON(b *strings.Builder, s string) error {
	var t strings.Builder
	e := json.NewEncoder(&t)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return err
	}
	// encoding/json escapes the two line separators for JavaScript's sake; JSON does not ask for that.
	out := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(t.String(), "\n"))
	b.WriteString(out)
	return nil
}
