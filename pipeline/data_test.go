package pipeline

import (
	"encoding/json"
	"math"
	"testing"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		in   Data
		want string
	}{
		{nil, ""}, {true, "true"}, {"x", "x"}, {1.0, "1"}, {-0.5, "-0.5"}, {123456.123456, "123456.123456"},
		{0.84551240822557006, "0.84551240822557"}, {1587106672383762434.0, "1.58710667238376E+18"},
		{100000.0, "100000"}, {1e15, "1E+15"}, {123456789012345.0, "123456789012345"}, {0.0001, "0.0001"}, {1e-7, "1E-07"},
		{math.Inf(1), "Infinity"}, {math.Inf(-1), "-Infinity"}, {math.NaN(), "NaN"}, {math.Copysign(0, -1), "0"},
		{[]any{1.0, "a"}, `[1,"a"]`}, {NewMap("b", 1.0, "a", nil), `{"b":1,"a":null}`},
	} {
		if got := Text(c.in); got != c.want {
			t.Errorf("Text(%v) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestMapKeepsOrderAndFoldsCase(t *testing.T) {
	m := NewMap("Zeta", 1.0, "alpha", 2.0)
	m.Set("ZETA", 3.0)
	if v, _ := m.Get("zeta"); v != 3.0 || m.Len() != 2 || m.Keys()[0] != "Zeta" {
		t.Errorf("%v %v", m.Keys(), v)
	}
	c := m.Clone()
	c.Delete("Alpha")
	if m.Len() != 2 || c.Len() != 1 {
		t.Error("a clone shares its keys")
	}
	e := NewEnvMap()
	e.Set("a", "1")
	e.Set("A", "2")
	if e.Len() != 2 {
		t.Error("environment variables must keep their case")
	}
	var none *Map
	if _, ok := none.Get("x"); ok || none.Len() != 0 || none.Clone().Len() != 0 {
		t.Error("a nil Map is not empty")
	}
}

func TestDecodeJSONKeepsOrder(t *testing.T) {
	const doc = `{"z":1,"a":[true,null,{"y":"ü","b":1.5}]}`
	v, err := DecodeJSON([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil || string(b) != doc {
		t.Errorf("%s %v", b, err)
	}
	for _, bad := range []string{"", "{", `{"a":}`, "[1,]", `{} {}`, `{"a" 1}`} {
		if v, err := DecodeJSON([]byte(bad)); err == nil {
			t.Errorf("%q was read as %v", bad, v)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}]}`)
	f.Add(`null}0`) // what a closing bracket begins is more, too
	f.Fuzz(func(t *testing.T, doc string) {
		v, err := DecodeJSON([]byte(doc))
		if err == nil && !json.Valid([]byte(doc)) {
			t.Errorf("%q is no JSON, and was read as %v", doc, v)
		}
	})
}
