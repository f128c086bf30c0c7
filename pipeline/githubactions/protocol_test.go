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
		{"NODE_OPTIONS", fileEnv, "a=1\nnode_options=x\nb=2\n", []pipeline.Effect{pipeline.SetEnv{Name: "a", Value: "1"}, failing("GITHUB_ENV, line 2: " + blockedMessage), pipeline.SetEnv{Name: "b", Value: "2"}}, ""},
		{"default variable", fileEnv, "GITHUB_SHA=x\nCI=1\nGITHUB_MINE=1\n", []pipeline.Effect{
			warning("GITHUB_ENV, line 1: GITHUB_SHA stays as it is: the default variables GITHUB_* and RUNNER_* cannot be overwritten"),
			pipeline.SetEnv{Name: "CI", Value: "1"}, pipeline.SetEnv{Name: "GITHUB_MINE", Value: "1"}}, ""},
		{"NODE_OPTIONS as an output", fileOutput, "NODE_OPTIONS=x\n", []pipeline.Effect{pipeline.SetOutput{Name: "NODE_OPTIONS", Value: "x"}}, ""},
		{"paths", filePath, "/a\r\n\n/b c\n", []pipeline.Effect{pipeline.AddPath{Dir: "/a"}, pipeline.AddPath{Dir: "/b c"}}, ""},
		{"summary", fileSummary, "# x\n", []pipeline.Effect{pipeline.AddSummary{Markdown: "# x\n"}}, ""},
		{"largest summary", fileSummary, strings.Repeat("x", maxSummary), []pipeline.Effect{pipeline.AddSummary{Markdown: strings.Repeat("x", maxSummary)}}, ""},
		{"summary too large", fileSummary, strings.Repeat("x", maxSummary+1), []pipeline.Effect{failing("GITHUB_STEP_SUMMARY: the summary has 1048577 bytes and is left out, because at most 1048576 are kept: write less")}, ""},
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
