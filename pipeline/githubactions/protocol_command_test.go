package githubactions

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
)

func TestCommands(t *testing.T) {
	annotate := func(a pipeline.Annotation) pipeline.Effect { return pipeline.Annotate{Annotation: a} }
	for _, c := range []struct {
		line string
		want pipeline.Effect
	}{
		{"::debug::a%0Ab%25", pipeline.Debug{Text: "a\nb%"}},
		{"  ::group::Build it", pipeline.BeginGroup{Title: "Build it"}},
		{"::endgroup::", pipeline.EndGroup{}},
		{"##[group]Old form", pipeline.BeginGroup{Title: "Old form"}},
		{"##[endgroup]", pipeline.EndGroup{}},
		{"::add-mask::hunter2", pipeline.AddMask{Text: "hunter2"}},
		{"::notice::done", annotate(pipeline.Annotation{Level: "notice", Message: "done"})},
		{"::ERROR file=a%2Cb.go,line=3,endLine=3,col=5,endColumn=6,title=T%3A x::went%0Dwrong", annotate(pipeline.Annotation{Level: "error", Message: "went\rwrong", Title: "T: x", File: "a,b.go", Line: 3, EndLine: 3, Col: 5, EndCol: 6})},
		{"::warning line=x::m", annotate(pipeline.Annotation{Level: "warning", Message: "m"})},
		{"::error endLine=4::m", annotate(pipeline.Annotation{Level: "error", Message: "m", Line: 4, EndLine: 4})},
		{"::error col=4::m", annotate(pipeline.Annotation{Level: "error", Message: "m"})},
		{"::error line=2,endLine=4,col=4::m", annotate(pipeline.Annotation{Level: "error", Message: "m", Line: 2, EndLine: 4})},
		{"::error line=5,endLine=4::m", annotate(pipeline.Annotation{Level: "error", Message: "m"})},
		{"::error line=5,col=4,endColumn=2::m", annotate(pipeline.Annotation{Level: "error", Message: "m", Line: 5})},
		{"12:00 ##[error file=a%3Bb.go;line=3]went%5Dwrong%2C", annotate(pipeline.Annotation{Level: "error", Message: "went]wrong%2C", File: "a;b.go", Line: 3})},
		{"::no-such-command::##[debug]x", pipeline.Debug{Text: "x"}},
		{"::add-matcher::", warning("the command add-matcher needs the path of a file")},
		{"::add-mask:: ", warning("the command add-mask needs a text to hide")},
		{"::set-output::x", pipeline.Refuse{Message: "the command set-output needs name="}},
		{"::echo::loud", pipeline.Refuse{Message: `the command echo takes on or off, not "loud"`}},
		{"::add-matcher::m.json", pipeline.AddMatcher{File: "m.json"}},
		{"::remove-matcher owner=go::", pipeline.RemoveMatcher{Owner: "go"}},
	} {
		got, ok := testProtocol().Line([]byte(c.line))
		if !ok {
			t.Errorf("%q: not a command", c.line)
			continue
		}
		if d := cmp.Diff([]pipeline.Effect{c.want}, got); d != "" {
			t.Errorf("%q: %s", c.line, d)
		}
	}
	for _, line := range []string{"", ":", "::", "::::", "plain", "x ::error::y", "::no-such-command::x", "::error without an end", "##[", "##[]", "## [group]"} {
		if got, ok := testProtocol().Line([]byte(line)); ok {
			t.Errorf("%q: taken as the command %v", line, got)
		}
	}
}

func TestStopCommands(t *testing.T) {
	p := testProtocol()
	for _, c := range []struct {
		line      string
		isCommand bool
		effects   int
	}{
		{"::stop-commands::token", true, 1}, // shown, as its end is
		{"::add-mask::x", false, 0},
		{"::other::", false, 0},
		{"##[error]x", false, 0},
		{"::TOKEN::", true, 1},
		{"::add-mask::x", true, 1},
		{"::stop-commands::error", true, 1}, // a command's name is no token
		{"::add-mask::x", true, 1},
	} {
		got, ok := p.Line([]byte(c.line))
		if ok != c.isCommand || len(got) != c.effects {
			t.Errorf("%q: %v %v, want %v and %d effects", c.line, ok, got, c.isCommand, c.effects)
		}
	}
}

func TestEcho(t *testing.T) {
	p := testProtocol()
	for _, c := range []struct {
		line string
		want []pipeline.Effect
	}{
		{"::group::a", []pipeline.Effect{pipeline.BeginGroup{Title: "a"}}},
		{"::echo::On", nil},
		{"::group::a", []pipeline.Effect{pipeline.Say{Text: "::group::a"}, pipeline.BeginGroup{Title: "a"}}},
		{"::debug::a", []pipeline.Effect{pipeline.Debug{Text: "a"}}},
		{"::add-mask::a", []pipeline.Effect{pipeline.Say{Text: "::add-mask::***"}, pipeline.AddMask{Text: "a"}}},
		{"::echo::off", []pipeline.Effect{pipeline.Say{Text: "::echo::off"}}},
		{"::group::a", []pipeline.Effect{pipeline.BeginGroup{Title: "a"}}},
	} {
		got, ok := p.Line([]byte(c.line))
		if d := cmp.Diff(c.want, got); d != "" || !ok {
			t.Errorf("%q: %v %s", c.line, ok, d)
		}
	}
}

func TestDeprecatedCommandsWarnOnce(t *testing.T) {
	p := testProtocol()
	for i, want := range []int{2, 1} {
		got, _ := p.Line([]byte("::set-output name=a::1"))
		if len(got) != want || got[len(got)-1] != (pipeline.SetOutput{Name: "a", Value: "1"}) {
			t.Errorf("call %d: %v", i, got)
		}
	}
}

func TestUnsecureCommands(t *testing.T) {
	for _, c := range []struct {
		line, allow string
		want        pipeline.Effect
	}{
		{"::set-env name=A::1", "TRUE", pipeline.SetEnv{Name: "A", Value: "1"}},
		{"::add-path::/x", "true", pipeline.AddPath{Dir: "/x"}},
		{"::set-env name=A::1", "", pipeline.Refuse{}},
		{"::add-path::/x", "", pipeline.Refuse{}},
		{"::set-env name=NODE_OPTIONS::x", "true", failing(blockedMessage)},
		{"::set-env::x", "true", pipeline.Refuse{}},
		{"::add-path::", "true", pipeline.Refuse{}},
	} {
		got, ok := testProtocol(unsecureVariable, c.allow).Line([]byte(c.line))
		if !ok || len(got) != 1 {
			t.Errorf("%s: %v %v", c.line, got, ok)
			continue
		}
		if r, refused := got[0].(pipeline.Refuse); refused && r.Message != "" {
			got[0] = pipeline.Refuse{}
		}
		if got[0] != c.want {
			t.Errorf("%s: %v, want %v", c.line, got[0], c.want)
		}
	}
}

func TestPlainLinesAllocateNothing(t *testing.T) {
	p, line := testProtocol(), []byte("   2026-01-01 a line like all others: #1 :: [x]")
	if n := testing.AllocsPerRun(100, func() { p.Line(line) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{"::error file=a,line=1::x", "##[group]x", "::stop-commands::t", "::a %0::", "plain"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		effects, ok := testProtocol(unsecureVariable, "true").Line(line)
		if !ok && len(effects) > 0 {
			t.Errorf("%q is plain text with effects: %v", line, effects)
		}
	})
}

func BenchmarkPlainLine(b *testing.B) {
	p, line := testProtocol(), []byte("2026-01-01T00:00:00Z INFO a line of a log as most are, about a hundred characters long, with words")
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		p.Line(line)
	}
}
