package githubactions

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
)

func testProtocol(env ...string) *protocol {
	return newProtocol(func(name string) string {
		for i := 0; i+1 < len(env); i += 2 {
			if env[i] == name {
				return env[i+1]
			}
		}
		return ""
	})
}

func TestCommandFiles(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		want                []pipeline.Effect
		err                 string
	}{
		{"pairs", fileOutput, "a=1\nb=x=y\n\nc=\n", []pipeline.Effect{pipeline.SetOutput{Name: "a", Value: "1"}, pipeline.SetOutput{Name: "b", Value: "x=y"}, pipeline.SetOutput{Name: "c"}}, ""},
		{"byte order mark and CRLF", fileEnv, "\xef\xbb\xbfa=1\r\nb=2\r\n", []pipeline.Effect{pipeline.SetEnv{Name: "a", Value: "1"}, pipeline.SetEnv{Name: "b", Value: "2"}}, ""},
		{"no line end", fileState, "a=1", []pipeline.Effect{pipeline.SaveState{Name: "a", Value: "1"}}, ""},
		{"block", fileOutput, "a<<EOF\nx\n\n y=1\nEOF\nb=2", []pipeline.Effect{pipeline.SetOutput{Name: "a", Value: "x\n\n y=1"}, pipeline.SetOutput{Name: "b", Value: "2"}}, ""},
		{"empty block", fileOutput, "a<<EOF\nEOF\n", []pipeline.Effect{pipeline.SetOutput{Name: "a"}}, ""},
		{"block of CRLF", fileOutput, "a<<EOF\r\nx\r\ny\r\nEOF\r\n", []pipeline.Effect{pipeline.SetOutput{Name: "a", Value: "x\r\ny"}}, ""},
		{"delimiter must be the whole line", fileOutput, "a<<EOF\n EOF\nEOFx\nEOF", []pipeline.Effect{pipeline.SetOutput{Name: "a", Value: " EOF\nEOFx"}}, ""},
		{"equals before the mark", fileOutput, "a=b<<EOF\n", []pipeline.Effect{pipeline.SetOutput{Name: "a", Value: "b<<EOF"}}, ""},
		{"mark before the equals", fileOutput, "a<<E=F\nx\nE=F\n", []pipeline.Effect{pipeline.SetOutput{Name: "a", Value: "x"}}, ""},
		{"no delimiter found", fileOutput, "a=1\nb<<EOF\nx\n", []pipeline.Effect{pipeline.SetOutput{Name: "a", Value: "1"}}, "line 2: matching delimiter not found 'EOF'"},
		{"no pair", fileOutput, "a=1\nnothing\n", []pipeline.Effect{pipeline.SetOutput{Name: "a", Value: "1"}}, "line 2: invalid format 'nothing'"},
		{"no name", fileOutput, "=x\n", nil, "line 1: invalid format '=x'"},
		{"no name of a block", fileOutput, "<<EOF\nEOF\n", nil, "line 1: invalid format '<<EOF'"},
		{"empty delimiter", fileOutput, "a<<\n\n", nil, "line 1: invalid format 'a<<'"},
		{"NODE_OPTIONS", fileEnv, "a=1\nnode_options=x\n", []pipeline.Effect{pipeline.SetEnv{Name: "a", Value: "1"}}, "line 2: NODE_OPTIONS cannot be set"},
		{"default variable", fileEnv, "GITHUB_SHA=x\nCI=1\nGITHUB_MINE=1\n", []pipeline.Effect{
			warning("GITHUB_ENV, line 1: GITHUB_SHA stays as it is: the default variables GITHUB_* and RUNNER_* cannot be overwritten"),
			pipeline.SetEnv{Name: "CI", Value: "1"}, pipeline.SetEnv{Name: "GITHUB_MINE", Value: "1"}}, ""},
		{"NODE_OPTIONS as an output", fileOutput, "NODE_OPTIONS=x\n", []pipeline.Effect{pipeline.SetOutput{Name: "NODE_OPTIONS", Value: "x"}}, ""},
		{"paths", filePath, "/a\r\n\n/b c\n", []pipeline.Effect{pipeline.AddPath{Dir: "/a"}, pipeline.AddPath{Dir: "/b c"}}, ""},
		{"summary", fileSummary, "# x\n", []pipeline.Effect{pipeline.AddSummary{Markdown: "# x\n"}}, ""},
		{"largest summary", fileSummary, strings.Repeat("x", maxSummary), []pipeline.Effect{pipeline.AddSummary{Markdown: strings.Repeat("x", maxSummary)}}, ""},
		{"summary too large", fileSummary, strings.Repeat("x", maxSummary+1), nil, "at most 1048576 are kept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := testProtocol().ReadFile(c.file, []byte(c.content))
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

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
		{"::ERROR file=a%2Cb.go,line=3,endLine=4,col=5,endColumn=6,title=T%3A x::went%0Dwrong", annotate(pipeline.Annotation{Level: "error", Message: "went\rwrong", Title: "T: x", File: "a,b.go", Line: 3, EndLine: 4, Col: 5, EndCol: 6})},
		{"::warning line=x::m", annotate(pipeline.Annotation{Level: "warning", Message: "m"})},
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
		{"::stop-commands::token", true, 0},
		{"::add-mask::x", false, 0},
		{"::other::", false, 0},
		{"::token::", true, 0},
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
		{"::set-env name=NODE_OPTIONS::x", "true", pipeline.Refuse{}},
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

func FuzzCommandFile(f *testing.F) {
	for _, s := range []string{"a=1\n", "a<<E\nx\nE\n", "\xef\xbb\xbfa=1\r\n", "<<\n", "=", "a<<E"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, file := range commandFiles {
			effects, _ := testProtocol().ReadFile(file.Env, content)
			for _, e := range effects {
				if o, ok := e.(pipeline.SetOutput); ok && o.Name == "" {
					t.Errorf("an output without a name from %q", content)
				}
			}
		}
	})
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
