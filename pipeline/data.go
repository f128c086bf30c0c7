package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Data is what an expression evaluates to and what contexts are made of. It is one of
//
//	nil, bool, float64, string, []Data (always []any), Object, and the Unknown value.
type Data = any

// Object is a read-only mapping. [Map] is the usual one; a front end may have others that compute
// their members when they are asked for.
type Object interface {
	// Get returns the member with that name; the object decides whether case matters.
	Get(key string) (Data, bool)
	// Keys returns the names in their order, in a slice that the caller must not change.
	Keys() []string
}

// Unknown is the value of anything that can only be known while the pipeline runs, such as the output
// of a step. It appears only where [Scope.Planning] is set, and every operation on it yields Unknown
// unless the other operand decides the result.
var Unknown = unknown{}

type unknown struct{}

// IsUnknown reports whether v is the Unknown value.
func IsUnknown(v Data) bool { _, ok := v.(unknown); return ok }

// Map is an ordered mapping of names to data. Lookups ignore case unless CaseSensitive is set.
// A nil *Map is an empty one that can be read. Concurrent reads are safe, writes are not.
type Map struct {
	CaseSensitive bool

	keys   []string
	values map[string]Data // by folded key
}

// NewMap returns a Map of the pairs given, key after value: NewMap("a", 1.0, "b", "x").
func NewMap(pairs ...any) *Map {
	m := &Map{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Set(pairs[i].(string), pairs[i+1])
	}
	return m
}

// NewEnvMap returns an empty case-sensitive Map, as environment variables need it.
func NewEnvMap() *Map { return &Map{CaseSensitive: true} }

func (m *Map) fold(key string) string {
	if m.CaseSensitive {
		return key
	}
	return strings.ToLower(key)
}

// Get implements [Object].
func (m *Map) Get(key string) (Data, bool) {
	if m == nil {
		return nil, false
	}
	v, ok := m.values[m.fold(key)]
	return v, ok
}

// Keys implements [Object].
func (m *Map) Keys() []string {
	if m == nil {
		return nil
	}
	return m.keys
}

// Len returns the number of members.
func (m *Map) Len() int { return len(m.Keys()) }

// Set adds a member or replaces its value; a replaced member keeps its place.
func (m *Map) Set(key string, v Data) {
	if m.values == nil {
		m.values = map[string]Data{}
	}
	f := m.fold(key)
	if _, ok := m.values[f]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[f] = v
}

// Delete removes a member; a name that is not there is no error.
func (m *Map) Delete(key string) {
	f := m.fold(key)
	if _, ok := m.values[f]; !ok {
		return
	}
	delete(m.values, f)
	m.keys = slices.DeleteFunc(m.keys, func(k string) bool { return m.fold(k) == f })
}

// Merge sets every member of o in m.
func (m *Map) Merge(o Object) {
	for _, k := range o.Keys() {
		v, _ := o.Get(k)
		m.Set(k, v)
	}
}

// Clone returns a copy that shares no structure with m except nested values.
func (m *Map) Clone() *Map {
	if m == nil {
		return &Map{}
	}
	c := &Map{CaseSensitive: m.CaseSensitive, keys: slices.Clone(m.keys), values: make(map[string]Data, len(m.values))}
	for k, v := range m.values {
		c.values[k] = v
	}
	return c
}

// Strings returns the members as text, by their names.
func (m *Map) Strings() map[string]string {
	out := make(map[string]string, m.Len())
	for _, k := range m.Keys() {
		v, _ := m.Get(k)
		out[k] = Text(v)
	}
	return out
}

// MarshalJSON writes the members in their order.
func (m *Map) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, k := range m.Keys() {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		v, _ := m.Get(k)
		val, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(val)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// UnmarshalJSON reads a JSON object, with its members in their order; lookups ignore case unless CaseSensitive is set before.
func (m *Map) UnmarshalJSON(b []byte) error {
	v, err := DecodeJSON(b)
	if err != nil {
		return err
	}
	read, ok := v.(*Map)
	if !ok {
		return fmt.Errorf("expected a JSON object, got %s", b[:min(len(b), 20)])
	}
	m.keys, m.values = nil, nil
	m.Merge(read)
	return nil
}

// Text returns v as the text that a process would see: the empty string for nil, "true" and "false",
// numbers with at most 15 significant digits (the precision that GitHub documents and all five
// formats survive), JSON for lists and mappings.
func Text(v Data) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return numberText(v)
	case int:
		return strconv.Itoa(v)
	case unknown:
		return "…"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func numberText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	}
	s := strconv.FormatFloat(f, 'G', 15, 64)
	mantissa, exponent, ok := strings.Cut(s, "E")
	if !ok {
		return trimZeros(s)
	}
	n, _ := strconv.Atoi(exponent)
	if n >= -5 && n < 15 {
		return trimZeros(strconv.FormatFloat(f, 'f', max(0, 14-n), 64))
	}
	return trimZeros(mantissa) + "E" + exponent
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// FromJSON turns what encoding/json decodes (with or without UseNumber) into Data. Members of plain
// Go maps come in sorted order; decode with [DecodeJSON] to keep the order of a document.
func FromJSON(v any) Data {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64()
		return f
	case int:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = FromJSON(v[i])
		}
		return out
	case map[string]any:
		m := &Map{}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			m.Set(k, FromJSON(v[k]))
		}
		return m
	}
	return v
}

// DecodeJSON reads one JSON document, keeping the order of members.
func DecodeJSON(b []byte) (Data, error) {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	v, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	end := d.InputOffset()
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("there is more after the JSON document, from byte %d on", end)
	}
	return v, nil
}

func decodeValue(d *json.Decoder) (Data, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := &Map{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			m.Set(k.(string), v)
		}
		_, err := d.Token()
		return m, err
	case json.Delim('['):
		out := make([]any, 0, 1) // not shared: lists are compared by identity
		for d.More() {
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := d.Token()
		return out, err
	}
	return FromJSON(t), nil
}
