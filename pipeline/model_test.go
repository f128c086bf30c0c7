package pipeline

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

type fn func(*Scope) (Data, error)

func (f fn) Eval(s *Scope) (Data, error) { return f(s) }
func (fn) String() string                { return "fn()" }

func constant(v Data) Value {
	return Expression(Pos{"f.yml", 3, 5}, fn(func(*Scope) (Data, error) { return v, nil }))
}

func TestValueConversions(t *testing.T) {
	s := &Scope{}
	for _, c := range []struct {
		v       Data
		boolean any // bool, or nil for an error
		number  any // float64, "none", or nil for an error
	}{
		{nil, false, "none"}, {true, true, nil}, {"true", true, nil}, {" FALSE ", false, nil}, {"", false, "none"},
		{"yes", nil, nil}, {1.5, nil, 1.5}, {"2.5", nil, 2.5}, {Unknown, false, "none"}, {[]any{}, nil, nil},
	} {
		b, err := constant(c.v).Bool(s)
		if (err != nil) != (c.boolean == nil) || err == nil && b != c.boolean {
			t.Errorf("Bool(%v) = %v, %v", c.v, b, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "f.yml:3:5: ") {
			t.Errorf("the error names no place: %v", err)
		}
		n, ok, err := constant(c.v).Number(s)
		switch want := c.number.(type) {
		case nil:
			if err == nil {
				t.Errorf("Number(%v) = %v, want an error", c.v, n)
			}
		case string:
			if ok || err != nil {
				t.Errorf("Number(%v) = %v %v %v, want none", c.v, n, ok, err)
			}
		case float64:
			if n != want || !ok || err != nil {
				t.Errorf("Number(%v) = %v %v %v", c.v, n, ok, err)
			}
		}
	}
	boom := errors.New("boom")
	v := Expression(Pos{"f.yml", 1, 2}, fn(func(*Scope) (Data, error) { return nil, boom }))
	_, err := v.Eval(s)
	if !errors.Is(err, boom) || err.Error() != "f.yml:1:2: boom" {
		t.Errorf("%v", err)
	}
	if (Value{}).IsZero() != true || constant(nil).IsZero() || v.Source() != "fn()" || Literal(Pos{}, 3.0).Source() != "3" {
		t.Error("IsZero or Source")
	}
	if l, _ := constant([]any{"a", 1.0}).List(s); strings.Join(l, ",") != "a,1" {
		t.Errorf("%v", l)
	}
	if _, err := constant("x").Object(s); err == nil {
		t.Error("a text was taken for a mapping")
	}
}

func TestFilter(t *testing.T) {
	p := func(source, re string, negate bool) Pattern {
		return Pattern{Source: source, Match: regexp.MustCompile("^" + re + "$"), Negate: negate}
	}
	f := &Filter{Patterns: []Pattern{p("rel/**", "rel/.*", false), p("!rel/**-alpha", "rel/.*-alpha", true), p("rel/x-alpha", "rel/x-alpha", false)}}
	ignore := &Filter{Patterns: []Pattern{p("docs/**", "docs/.*", false)}, Ignore: true}
	for name, want := range map[string]bool{"rel/1": true, "rel/1-alpha": false, "rel/x-alpha": true, "main": false} {
		if f.Allows(name) != want {
			t.Errorf("Allows(%q) = %v", name, !want)
		}
	}
	var none *Filter
	if !none.Allows("x") || !none.AllowsAny(nil) {
		t.Error("no filter must let everything pass")
	}
	if ignore.AllowsAny([]string{"docs/a", "docs/b"}) || !ignore.AllowsAny([]string{"docs/a", "main.go"}) {
		t.Error("paths-ignore")
	}
}

func TestBindInputs(t *testing.T) {
	declared := []Input{
		{Name: "level", Type: "choice", Options: []string{"low", "high"}, Default: Literal(Pos{}, "high")},
		{Name: "dry", Type: "boolean"}, {Name: "n", Type: "number", Default: Literal(Pos{}, 7.0)},
		{Name: "label", Type: "string", Required: true},
	}
	got, err := BindInputs(declared, NewMap("LABEL", "x", "dry", "true"), &Scope{})
	if err != nil {
		t.Fatal(err)
	}
	if Text(got) != `{"level":"high","dry":true,"n":7,"label":"x"}` {
		t.Error(Text(got))
	}
	_, err = BindInputs(declared, NewMap("level", "middle", "n", "many", "dry", "maybe", "other", "1"), &Scope{})
	for _, part := range []string{`"level" must be one of low, high`, `"n" must be a number`, `"dry" must be true or false`, `unknown input "other"`, `"label" is required`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %s", err, part)
		}
	}
}

func TestDecodeContainer(t *testing.T) {
	c, err := DecodeContainer(NewMap("image", "docker://postgres:15", "ports", []any{"5432:5432", 80.0}, "env", NewMap("A", 1.0),
		"options", "--cpus 1", "volumes", []any{"v:/x"}, "credentials", NewMap("username", "u", "password", "p")))
	if err != nil || c.Image != "postgres:15" || len(c.Ports) != 2 || c.Ports[1] != "80" || c.Env[0] != (EnvVar{"A", "1"}) || c.Password != "p" {
		t.Errorf("%+v %v", c, err)
	}
	for _, none := range []Data{nil, "", " ", NewMap("image", "")} {
		if c, err := DecodeContainer(none); c != nil || err != nil {
			t.Errorf("%v: %+v %v", none, c, err)
		}
	}
	for _, bad := range []Data{1.0, NewMap("image", "x", "ports", "80"), NewMap("image", "x", "env", "A=1"), NewMap("image", "x", "credentials", "u:p")} {
		if _, err := DecodeContainer(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestPlan(t *testing.T) {
	yes, no := Literal(Pos{}, true), Literal(Pos{}, false)
	ok := Expression(Pos{}, fn(func(s *Scope) (Data, error) {
		for _, r := range s.Upstream {
			if r.Status != Success {
				return false, nil
			}
		}
		return true, nil
	}))
	envIs := Expression(Pos{}, fn(func(s *Scope) (Data, error) {
		v, _ := s.Env.Get("MODE")
		if IsUnknown(v) {
			return Unknown, nil
		}
		return v == "fast", nil
	}))
	step := func(id string, cond Value) *Step {
		return &Step{ID: id, Name: Literal(Pos{}, id), If: cond, Do: &Script{}}
	}
	unknownLegs := matrixFunc(func(*Scope) ([]Leg, error) { return nil, ErrUnknown })
	legs := matrixFunc(func(*Scope) ([]Leg, error) {
		return []Leg{{Suffix: " (1)", Values: NewMap("n", 1.0)}, {Suffix: " (2)", Values: NewMap("n", 2.0)}}, nil
	})
	inner := &Pipeline{Jobs: []*Job{{Key: "in", If: ok}}}
	p := &Pipeline{Env: Literal(Pos{}, NewMap("MODE", "slow")), Jobs: []*Job{
		{Key: "off", If: no},
		{Key: "after", If: ok, Needs: []Need{{Key: "off"}}},
		{Key: "later", If: ok, Needs: []Need{{Key: "after"}}},
		{Key: "legs", If: yes, Strategy: &Strategy{Matrix: legs}, Steps: []*Step{step("never", envIs)}},
		{Key: "dyn", If: ok, Strategy: &Strategy{Matrix: unknownLegs}, Needs: []Need{{Key: "legs"}}},
		{Key: "call", If: ok, Needs: []Need{{Key: "dyn"}}, Call: &Call{Pipeline: inner}},
	}}
	var got []string
	var list func([]PlannedJob)
	list = func(jobs []PlannedJob) {
		for _, j := range jobs {
			line := j.ID + ": " + string(j.Will)
			for _, s := range j.Steps {
				line += ", " + s.Name + " " + string(s.Will)
			}
			got = append(got, line+" <- "+strings.Join(j.Needs, "+"))
			list(j.Called)
		}
	}
	list(NewPlan(p, &Scope{}, nil, nil).Jobs)
	want := `off: skipped <- 
after: skipped <- off
later: skipped <- after
legs (1): runs, never skipped <- 
legs (2): runs, never skipped <- 
dyn: depends <- legs (1)+legs (2)
call: runs <- dyn
call / in: runs <- `
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
	if n := len(NewPlan(p, &Scope{}, []string{"LEGS"}, map[string]string{"n": "2"}).Jobs); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
}

type matrixFunc func(*Scope) ([]Leg, error)

func (f matrixFunc) Expand(s *Scope) ([]Leg, error) { return f(s) }
