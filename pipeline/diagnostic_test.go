package pipeline

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestRender(t *testing.T) {
	src := map[string][]byte{
		"ci.yml":  []byte("on: push\njobs:\n\tbuild:\r\n    runs-on: [ubuntu\n"),
		"min.yml": append(bytes.Repeat([]byte("é"), 400), "bad rest of the line"...),
	}
	var ds Diagnostics
	ds.Add(Diagnostic{Severity: Error, Pos: Pos{"ci.yml", 4, 14}, Width: 8, Code: "yaml", Message: "the list is not closed", Hint: "add a ]"})
	ds.Warnf(Pos{"ci.yml", 3, 2}, "unknown-key", "unknown key %q", "build")
	ds.Warnf(Pos{"ci.yml", 3, 2}, "unknown-key", "unknown key %q", "build")
	ds.Errorf(Pos{"min.yml", 1, 801}, "long", "far to the right")
	ds.Errorf(Pos{"ci.yml", 99, 1}, "gone", "past the end")
	ds.Errorf(Pos{File: "none.yml"}, "empty", "the file is empty")
	ds.Add(Diagnostic{Severity: Note, Message: "without a place"})
	ds.Sort()
	var b bytes.Buffer
	ds.Render(&b, func(f string) []byte { return src[f] })
	const golden = "testdata/render.golden"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got:\n%s\nwant:\n%s", b.Bytes(), want)
	}
	if err := ds.Err(); err == nil || !ds.HasErrors() {
		t.Error("errors were lost")
	}
	if (Diagnostics{{Severity: Warning}}).Err() != nil {
		t.Error("a warning is no error")
	}
}
