package logs

import (
	"context"
	"errors"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

var never = regexp.MustCompile("this is in no line")

func TestSearch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStore(t, db, bucket(t))
		appendTo(t, s, "j",
			Line{Text: "error: one"},                                            // 1
			Line{Text: "an ERROR, coloured \x1b[1;31merr\x1b[0mor"},             // 2
			Line{Text: "\x1b]8;;https://example.com\x07link\x1b]8;;\x07 error"}, // 3
			Line{Text: ""},             // 4
			Line{Text: "[31m is text"}, // 5
		)
		appendTo(t, s, "j", Line{Text: "plain error"}, Line{Text: "no"}, Line{Text: "error at the end"}) // 6, 7, 8
		appendTo(t, s, "j", lines(9, 20_000)...)
		test := func() {
			t.Helper()
			for _, tt := range []struct {
				pattern string
				from    int64
				limit   int
				want    Matches
			}{
				{"error", 1, 100, Matches{Lines: []int64{1, 2, 3, 6, 8}}},
				{"error", 3, 2, Matches{Lines: []int64{3, 6}, More: true, Next: 7}},
				{"error", 7, 1, Matches{Lines: []int64{8}, More: true, Next: 9}},
				{"(?i)^an error", 1, 9, Matches{Lines: []int64{2}}},
				{"^error", 1, 9, Matches{Lines: []int64{1, 8}}},
				{"end$", 1, 9, Matches{Lines: []int64{8}}},
				{"^$", 1, 1, Matches{Lines: []int64{4}, More: true, Next: 5}},
				{`\[31m`, 1, 9, Matches{Lines: []int64{5}}},
				{"example", 1, 1, Matches{Lines: []int64{9}, More: true, Next: 10}},
				{"error\nan", 1, 9, Matches{Lines: []int64{}}},
				{"^00019999 INFO", -5, 9, Matches{Lines: []int64{19_999}}},
				{"^00020000 INFO", 1, 1, Matches{Lines: []int64{20_000}}},
				{"00019[0-9]{2}7 ", 19_900, 9, Matches{Lines: []int64{19_907, 19_917, 19_927, 19_937, 19_947, 19_957, 19_967, 19_977, 19_987}, More: true, Next: 19_988}},
				{"x", 20_001, 9, Matches{Lines: []int64{}}},
			} {
				got, err := s.Search(t.Context(), "j", regexp.MustCompile(tt.pattern), tt.from, tt.limit)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&tt.want, got); diff != "" {
					t.Errorf("%q from %d, at most %d: %s", tt.pattern, tt.from, tt.limit, diff)
				}
			}
		}
		test()
		complete(t, s, "j")
		if err := s.Compact(t.Context(), "j"); err != nil {
			t.Fatal(err)
		}
		test()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Search(ctx, "j", never, 1, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of the context: %v", err)
		}
		if m, err := s.Search(t.Context(), "none", never, 1, 1); err != nil || len(m.Lines) != 0 || m.More {
			t.Errorf("in a log that is not there: %+v, %v", m, err)
		}
	})
}

func TestStripANSI(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain":                  "plain",
		"\x1b[31mred\x1b[0m":     "red",
		"\x1b[38;5;196mx\x1b[K":  "x",
		"a\x1b(Bb":               "ab",
		"a\x1bMb":                "ab",
		"\x1b]0;title\x07b":      "b",
		"\x1b]8;;u\x1b\\l\x1b]8": "l",
		"cut\x1b[3":              "cut",
		"cut\x1b":                "cut",
		"\x1b[3\xffx":            "\xffx",
		"\x1b\x1b[1mx":           "x",
		"\x1b[1\x1b[2mx":         "x",
		"\x1bPdata\x1b\\after":   "after",
		"\x1b]0;open\nb\x1b\nc":  "\nb\nc",
		"\x1b[3\nb\x1b(\nc":      "\nb\nc",
	} {
		if got := string(stripANSI(nil, []byte(in))); got != want {
			t.Errorf("%q became %q, not %q", in, got, want)
		}
	}
}

func FuzzStripANSI(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b[0m \x1b]8;;x\x1b\\y"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		out := stripANSI(nil, b)
		if string(b) != before {
			t.Error("the line was changed")
		}
		for _, c := range out {
			if c == escape {
				t.Errorf("%q still has an escape: %q", b, out)
			}
		}
	})
}

// TestNeedle compares the search with what the pattern alone says of each line.
func TestNeedle(t *testing.T) {
	text := []string{
		"error", "ERROR here", "an Error", "fail", "FAILED", "failure", "warn", "", "kelvin", "\u212aelvin", "\u017fum", "sum", "SUM",
		"x fatal y", "abcabc", "ab", "naïve", "NAÏVE", "\x1b[1mer\x1b[0mror", "1.5 s", "error and fail",
	}
	var all []Line
	for _, x := range text {
		all = append(all, Line{Text: x})
	}
	for _, pattern := range []string{
		"error", "(?i)error", "(?i)fail(ed|ure)", "error|fail", "(?i)warn|fatal", "(?i)kelvin", "(?i)sum$", "(abc)+", "(ab)*", "^$", ".", "a?b",
		"(?i)naïve", "naïve", "[0-9]+\\.[0-9]", "err|(?i)FAIL", "(error|fail).*(fail)", "a|b|c|d|e|f|g|h|i|j", "(?:error){0,1}x", "(er){2}", "\\berror\\b", "error\nx",
	} {
		re := regexp.MustCompile(pattern)
		var want []int64
		for i, x := range text {
			if re.Match(stripANSI(nil, []byte(x))) {
				want = append(want, int64(i+1))
			}
		}
		for from := range int64(4) {
			part := all
			if from > 0 {
				part = all[:len(all)-1] // another size, and lines that are not asked for
			}
			raw, _, err := pack(part)
			if err != nil {
				t.Fatal(err)
			}
			sec, _, err := nextSection(raw)
			if err != nil {
				t.Fatal(err)
			}
			f := finder{pattern: re, needle: needleOf(re), left: 100, from: from, to: int64(len(part))}
			got := f.section(nil, 1, sec)
			var wanted []int64
			for _, n := range want {
				if n >= from && n <= f.to {
					wanted = append(wanted, n)
				}
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("%q from %d: %s", pattern, from, diff)
			}
		}
	}
}
