package ics

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

// Each file of testdata has beside it what people see about it, and the times of its events in London.
func TestFiles(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*/*.ics")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, diags := Parse(filepath.Base(file), content)
			if good := strings.Contains(filepath.ToSlash(file), "/good/"); good != (c != nil) || good == diags.HasErrors() {
				t.Errorf("a calendar: %v, errors: %v", c != nil, diags.HasErrors())
			}
			var got strings.Builder
			diags.Render(&got, func(string) []byte { return content })
			if c != nil {
				for _, l := range c.in(london) {
					fmt.Fprintf(&got, "%s to %s: %s\n", l.from.In(london).Format("2006-01-02 15:04 MST"), l.to.In(london).Format("2006-01-02 15:04 MST"), l.summary)
				}
			}
			golden := strings.TrimSuffix(file, ".ics") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got (write with -update):\n%s", diff)
			}
		})
	}
}

// calendarOf makes a calendar of one.
func calendarOf(t *testing.T, lines ...string) *Calendar {
	t.Helper()
	c, diags := Parse("test.ics", []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:it\n"+strings.Join(lines, "\n")+"\nEND:VEVENT\nEND:VCALENDAR\n"))
	if c == nil {
		t.Fatal(diags.Err())
	}
	return c
}

func TestAt(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		zone  string
		at    string
		// until is empty where nothing holds the time.
		until string
		next  string
	}{
		{"before", []string{"DTSTART:20260102T100000Z", "DURATION:PT1H"}, "UTC", "2026-01-02T09:59:59Z", "", "2026-01-02T10:00:00Z"},
		{"at its begin", []string{"DTSTART:20260102T100000Z", "DURATION:PT1H"}, "UTC", "2026-01-02T10:00:00Z", "2026-01-02T11:00:00Z", ""},
		{"at its end", []string{"DTSTART:20260102T100000Z", "DURATION:PT1H"}, "UTC", "2026-01-02T11:00:00Z", "", ""},
		{"a day where it is asked", []string{"DTSTART;VALUE=DATE:20260102"}, "Asia/Tokyo", "2026-01-01T15:00:00Z", "2026-01-02T15:00:00Z", ""},
		{"a day of 23 hours", []string{"DTSTART;VALUE=DATE:20260329"}, "Europe/London", "2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z", ""},
		{"a day of 25 hours", []string{"DTSTART;VALUE=DATE:20261025"}, "Europe/London", "2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z", ""},
		{"a series keeps the time of the clock", []string{"DTSTART;TZID=America/New_York:20260301T093000", "DURATION:PT6H30M", "RRULE:FREQ=DAILY"}, "UTC",
			"2026-03-09T13:30:00Z", "2026-03-09T20:00:00Z", "2026-03-10T13:30:00Z"},
		{"a night is as long as it was first", []string{"DTSTART;TZID=America/New_York:20260301T010000", "DTEND;TZID=America/New_York:20260301T040000", "RRULE:FREQ=DAILY"}, "UTC",
			"2026-03-08T06:00:00Z", "2026-03-08T09:00:00Z", "2026-03-09T05:00:00Z"},
		{"a time that there is not", []string{"DTSTART;TZID=America/New_York:20260308T023000", "DURATION:PT1H"}, "UTC", "2026-03-08T07:30:00Z", "2026-03-08T08:30:00Z", ""},
		{"a time that there is twice", []string{"DTSTART;TZID=America/New_York:20261101T013000", "DURATION:PT1H"}, "UTC", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", ""},
		{"the last of overlapping ones counts", []string{"DTSTART:20260102T100000Z", "DURATION:PT3H", "RDATE:20260102T110000Z"}, "UTC", "2026-01-02T11:30:00Z", "2026-01-02T14:00:00Z", ""},
		{"a leap day", []string{"DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY"}, "UTC", "2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z", "2032-02-29T00:00:00Z"},
		{"the last Friday", []string{"DTSTART;VALUE=DATE:20260130", "RRULE:FREQ=MONTHLY;BYDAY=-1FR"}, "UTC", "2026-02-27T12:00:00Z", "2026-02-28T00:00:00Z", "2026-03-27T00:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			loc, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			c := calendarOf(t, tt.lines...)
			show := func(t time.Time) string {
				if t.IsZero() {
					return ""
				}
				return t.UTC().Format(time.RFC3339)
			}
			until, summary := c.At(at, loc)
			if show(until) != tt.until || (summary == "it") != (tt.until != "") {
				t.Errorf("At: got %s %q, want %s", show(until), summary, tt.until)
			}
			if next := show(c.Next(at, loc)); next != tt.next {
				t.Errorf("Next: got %s, want %s", next, tt.next)
			}
		})
	}
}

// A calendar goes through JSON as its text.
func TestJSON(t *testing.T) {
	c := calendarOf(t, "DTSTART:20260102T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3")
	text, err := json.Marshal(struct{ C *Calendar }{c})
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ C *Calendar }
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	if until, _ := got.C.At(at, time.UTC); !until.Equal(at.Add(time.Hour)) || got.C.Len() != 3 {
		t.Errorf("read back: until %s, %d events", until, got.C.Len())
	}
	if err := json.Unmarshal([]byte(`{"C": "nothing"}`), &got); err == nil {
		t.Error("nonsense was taken for a calendar")
	}
}

// A rule that never comes due ends soon, and so do the most that a file may have of them.
func TestRulesEnd(t *testing.T) {
	if n := calendarOf(t, "DTSTART;VALUE=DATE:20260102", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30").Len(); n != 1 {
		t.Errorf("%d events, want the first alone", n)
	}
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\n")
	for i := range maxRules + 1 {
		fmt.Fprintf(&b, "BEGIN:VEVENT\nUID:%d\nDTSTART;VALUE=DATE:20260102\nRRULE:FREQ=YEARLY;COUNT=2\nEND:VEVENT\n", i)
	}
	b.WriteString("END:VCALENDAR\n")
	if _, diags := Parse("many.ics", []byte(b.String())); !diags.HasErrors() {
		t.Error("too many rules were taken")
	}
}

func BenchmarkNeverDue(b *testing.B) {
	src := []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260102\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30\nEND:VEVENT\nEND:VCALENDAR\n")
	for b.Loop() {
		Parse("never.ics", src)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.ics")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	at := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, content []byte) {
		c, diags := Parse("fuzz.ics", content)
		if (c == nil) != diags.HasErrors() {
			t.Fatalf("a calendar: %v, errors: %v", c != nil, diags.HasErrors())
		}
		for _, d := range diags {
			if d.Pos.Line < 1 || d.Message == "" || d.Code == "" {
				t.Fatalf("a finding without a place or a text: %+v", d)
			}
		}
		if c == nil {
			return
		}
		if until, _ := c.At(at, time.UTC); !until.IsZero() && !until.After(at) {
			t.Fatalf("an event that holds %s is over at %s", at, until)
		}
		if next := c.Next(at, time.UTC); !next.IsZero() && !next.After(at) {
			t.Fatalf("the next event after %s begins at %s", at, next)
		}
	})
}
