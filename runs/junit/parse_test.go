package junit

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestDialects reads what the tools write, in testdata/TOOL.xml, and compares with testdata/TOOL.json.
func TestDialects(t *testing.T) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			suites, err := Parse(f)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(suites, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".xml") + ".json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func one(t *testing.T, doc string) Case {
	t.Helper()
	suites, err := Parse(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	if len(suites) != 1 || len(suites[0].Cases) != 1 {
		t.Fatalf("got %+v", suites)
	}
	return suites[0].Cases[0]
}

func TestCharacters(t *testing.T) {
	for _, tt := range []struct{ name, head, text, want string }{
		{"plain", "", "a &lt; b", "a < b"},
		{"an escape", "", "\x1b[31mred", "\ufffd[31mred"},
		{"a reference to an escape", "", "&#27;[31m &#x1B;[0m", "\ufffd[31m \ufffd[0m"},
		{"a reference that is allowed", "", "&#x41;&#128512;", "A😀"},
		{"no UTF-8", "", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"a surrogate", "", "&#xD800;", "\ufffd"},
		{"latin", `<?xml version="1.0" encoding="ISO-8859-1"?>`, "gr\xfc\xdfe", "grüße"},
		{"a byte order mark", "\ufeff<?xml version='1.0' encoding='utf-8'?>", "ü", "ü"},
		{"CDATA", "", "<![CDATA[<b>&amp;]]> &amp; more", "<b>&amp; & more"},
		{"elements within", "", "<a>x<b>y</b></a>z", "xyz"},
		{"a document type", "<!DOCTYPE testsuite [<!ELEMENT a ANY>]>", "x", "x"},
	} {
		got := one(t, tt.head+`<testsuite><testcase name="c"><failure>`+tt.text+`</failure></testcase></testsuite>`)
		if got.Output != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got.Output, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	deep := strings.Repeat("<testsuite>", 100) + strings.Repeat("</testsuite>", 100)
	bomb := `<!DOCTYPE z [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>`
	for _, tt := range []struct{ name, doc, want string }{
		{"nothing", "", ErrOther.Error()},
		{"another document", "<project/>", ErrOther.Error()},
		{"no XML", "PK\x03\x04", ErrOther.Error()},
		{"a case alone", "<testcase name='x'/>", ErrOther.Error()},
		{"cut off", "<testsuite>\n<testcase name='x'>", "line 2"},
		{"elements that do not pair", "<testsuite>\n\n<testcase></testsuite>", "line 3"},
		{"too deep", deep, "deeper than 64"},
		{"entities", bomb, "line 1"},
		{"UTF-16", "\xff\xfe<\x00", "UTF-16"},
		{"another encoding", `<?xml version="1.0" encoding="Shift_JIS"?><testsuite/>`, "shift_jis"},
		{"too many", "<testsuite>" + strings.Repeat("<testcase/>", MaxCases+1) + "</testsuite>", "more than 100000 tests"},
	} {
		suites, err := Parse(strings.NewReader(tt.doc))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want an error with %q", tt.name, suites, err, tt.want)
		}
	}
	endless := io.MultiReader(strings.NewReader("<testsuite><testcase name='x'><system-out>"), zeros{})
	if _, err := parse(endless, 1<<20); err == nil || err.Error() != "it is larger than 1 MiB" {
		t.Errorf("without an end: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("<testsuite>"), failing{})
	if _, err := Parse(broken); !errors.Is(err, errFailing) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

var errFailing = errors.New("the disk is gone")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

func TestLongTexts(t *testing.T) {
	long := "BEGIN" + strings.Repeat("ü", MaxOutput) + "END"
	got := one(t, fmt.Sprintf(`<testsuite><testcase name="%s"><failure message="%s">%s</failure></testcase></testsuite>`, long, long, long))
	if len(got.Name) > maxName || len(got.Message) > MaxMessage || len(got.Output) > MaxOutput+100 {
		t.Errorf("lengths: %d, %d, %d", len(got.Name), len(got.Message), len(got.Output))
	}
	if !strings.HasPrefix(got.Output, "BEGIN") || !strings.HasSuffix(got.Output, "END") || !strings.Contains(got.Output, "bytes left out") {
		t.Error("not the beginning, a note, and the end")
	}
	for _, s := range []string{got.Name, got.Message, got.Output} {
		if !utf8.ValidString(s) {
			t.Error("a character was cut in two")
		}
	}
	// Many of them together.
	var doc strings.Builder
	doc.WriteString("<testsuite>")
	for range 400 {
		doc.WriteString(`<testcase name="c"><failure message="m">` + strings.Repeat("x", 70_000) + `</failure></testcase>`)
	}
	doc.WriteString("</testsuite>")
	suites, err := Parse(strings.NewReader(doc.String()))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, c := range suites[0].Cases {
		total += len(c.Output)
	}
	last := suites[0].Cases[399]
	if total > MaxText+400*100 || !strings.Contains(last.Output, "left out") || last.Message != "m" || suites[0].Failures != 400 {
		t.Errorf("%d bytes are kept; the last case is %+v", total, last)
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]float64{
		"": 0, "1.5": 1.5, " 2 ": 2, "1,234.5": 1234.5, "1,234": 1234, "0,123": 0.123, "12,5": 12.5, "1,234,567.5": 1234567.5,
		"1.5s": 1.5, "20ms": 0.02, "1e-3": 0.001, "NaN": 0, "Inf": 0, "-1": 0, "1e300": 0, "x": 0,
	} {
		if got, _ := seconds(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.xml")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("<testsuite><testcase>&#0;&#xFFFFFFFFFF;&x;"))
	f.Fuzz(func(t *testing.T, b []byte) {
		suites, err := Parse(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, s := range suites {
			if s.Tests != len(s.Cases) || s.Tests == 0 || s.Failures+s.Errors+s.Skipped > s.Tests || s.Seconds < 0 {
				t.Errorf("counts: %+v", s)
			}
			for _, c := range s.Cases {
				if c.Name == "" || !utf8.ValidString(c.Name+c.Class+c.Message+c.Output) {
					t.Errorf("case: %+v", c)
				}
			}
		}
	})
}
