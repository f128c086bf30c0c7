package project

import (
	"strings"
	"testing"
	"time"
)

// freezes reads the freezes of an environment.
func freezes(t *testing.T, yaml string) []*Freeze {
	t.Helper()
	src := "services: {web: {command: [./web]}}\nenvironments:\n  - name: production\n    gates:\n      freezes:\n"
	for line := range strings.Lines(yaml) {
		src += "        " + line
	}
	p, diags := Parse("gantry.yaml", []byte(src))
	if p == nil {
		t.Fatal(diags.Err())
	}
	return p.Environments[0].Gates.Freezes
}

func TestFrozen(t *testing.T) {
	const market = `market: {days: mon-fri, from: "09:30", to: "16:00", timezone: America/New_York}`
	tests := []struct {
		name, yaml, at string
		// until is empty where nothing is frozen.
		until  string
		reason string
	}{
		{"before a window", market, "2026-06-01T13:29:59Z", "", ""},
		{"as it begins", market, "2026-06-01T13:30:00Z", "2026-06-01T20:00:00Z", "market: mon 09:30 to 16:00 America/New_York"},
		{"before it ends", market, "2026-06-01T19:59:59Z", "2026-06-01T20:00:00Z", "market: mon 09:30 to 16:00 America/New_York"},
		{"as it ends", market, "2026-06-01T20:00:00Z", "", ""},
		{"on another day", market, "2026-06-06T15:00:00Z", "", ""},
		{"in winter", market, "2026-01-05T14:30:00Z", "2026-01-05T21:00:00Z", "market: mon 09:30 to 16:00 America/New_York"},
		{"the week that clocks change in America and not in Europe", market, "2026-03-09T13:30:00Z", "2026-03-09T20:00:00Z", "market: mon 09:30 to 16:00 America/New_York"},

		{"over midnight", `night: {from: "22:00", to: "06:00"}`, "2026-06-02T05:00:00Z", "2026-06-02T06:00:00Z", "night: mon 22:00 to 06:00 UTC"},
		{"a night that begins on a day that counts", `night: {days: [fri], from: "22:00", to: "06:00"}`, "2026-06-06T05:00:00Z", "2026-06-06T06:00:00Z", "night: fri 22:00 to 06:00 UTC"},
		{"a night that begins on one that does not", `night: {days: [sat], from: "22:00", to: "06:00"}`, "2026-06-06T05:00:00Z", "", ""},
		{"whole days follow each other", `weekend: {days: sat-sun}`, "2026-06-06T12:00:00Z", "2026-06-08T00:00:00Z", "weekend: sat 00:00 to 00:00 UTC"},
		{"over the end of a week", `days: {days: fri-mon, reason: nobody is here}`, "2026-06-05T00:00:00Z", "2026-06-09T00:00:00Z", "days: nobody is here (fri 00:00 to 00:00 UTC)"},

		// In London the hour from 01:00 to 02:00 does not exist on 2026-03-29 and comes twice on 2026-10-25.
		{"a window in a gap is empty", `gap: {from: "01:15", to: "01:45", timezone: Europe/London}`, "2026-03-29T01:00:00Z", "", ""},
		{"a window that begins in a gap", `gap: {from: "01:30", to: "03:00", timezone: Europe/London}`, "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z", "gap: sun 01:30 to 03:00 Europe/London"},
		{"a window that ends in a gap", `gap: {from: "00:30", to: "01:30", timezone: Europe/London}`, "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "gap: sun 00:30 to 01:30 Europe/London"},
		{"an hour that comes twice is frozen both times", `twice: {from: "01:15", to: "01:45", timezone: Europe/London}`, "2026-10-25T01:30:00Z", "2026-10-25T01:45:00Z", "twice: sun 01:15 to 01:45 Europe/London"},
		{"and in between", `twice: {from: "01:15", to: "01:45", timezone: Europe/London}`, "2026-10-25T00:50:00Z", "2026-10-25T01:45:00Z", "twice: sun 01:15 to 01:45 Europe/London"},
		{"a day of 25 hours", `day: {days: sun, timezone: Europe/London}`, "2026-10-25T23:30:00Z", "2026-10-26T00:00:00Z", "day: sun 00:00 to 00:00 Europe/London"},

		{"a cron line", `batch: {cron: "30 22 * * 1-5", for: 90m, timezone: Europe/London}`, "2026-06-01T22:59:00Z", "2026-06-01T23:00:00Z", `batch: 1h30m after "30 22 * * 1-5" in Europe/London`},
		{"after it", `batch: {cron: "30 22 * * 1-5", for: 90m, timezone: Europe/London}`, "2026-06-01T23:00:00Z", "", ""},
		{"a cron line in a gap", `batch: {cron: "30 1 * * *", for: 1h, timezone: Europe/London}`, "2026-03-29T01:59:00Z", "2026-03-29T02:00:00Z", `batch: 1h after "30 1 * * *" in Europe/London`},
		{"a cron line in an hour that comes twice counts once", `batch: {cron: "30 1 * * *", for: 30m, timezone: Europe/London}`, "2026-10-25T01:30:00Z", "", ""},
		{"the first time", `batch: {cron: "30 1 * * *", for: 30m, timezone: Europe/London}`, "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", `batch: 30m after "30 1 * * *" in Europe/London`},
		{"windows of a cron line that overlap", `batch: {cron: "0 * * * *", for: 61m}`, "2026-06-01T12:00:30Z", "2026-09-09T12:01:00Z", `batch: 1h1m after "0 * * * *" in UTC`},

		{"dates are both in the freeze", `end: {start: 2026-12-20, end: 2027-01-03, timezone: Europe/London}`, "2027-01-03T23:59:59Z", "2027-01-04T00:00:00Z", "end: 2026-12-20 to 2027-01-03"},
		{"the day after", `end: {start: 2026-12-20, end: 2027-01-03}`, "2027-01-04T00:00:00Z", "", ""},
		{"times", `end: {start: 2026-12-20T18:00, end: 2026-12-20T20:00, timezone: America/New_York}`, "2026-12-20T23:00:00Z", "2026-12-21T01:00:00Z", "end: 2026-12-20T18:00 to 2026-12-20T20:00"},

		{"one freeze after another", "one: {from: \"10:00\", to: \"11:00\"}\ntwo: {from: \"11:00\", to: \"12:00\"}", "2026-06-01T10:30:00Z", "2026-06-01T12:00:00Z", "one: mon 10:00 to 11:00 UTC"},
		{"for ever", `ever: {days: mon-sun}`, "2026-06-01T10:30:00Z", "2026-09-10T00:00:00Z", "ever: mon 00:00 to 00:00 UTC"},
		{"a calendar that was not read", `c: {calendar: c.ics}`, "2026-06-01T00:00:00Z", "2026-09-09T00:00:00Z", "c: the calendar c.ics was not read"},
		{"exceptions that were not read lift nothing", `c: {from: "10:00", to: "11:00", except: c.ics}`, "2026-06-01T10:30:00Z", "2026-06-01T11:00:00Z", "c: mon 10:00 to 11:00 UTC; the calendar c.ics of its exceptions was not read"},
		{"nothing", "{}", "2026-06-01T10:30:00Z", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			until, reason := Frozen(freezes(t, tt.yaml), at)
			got := ""
			if !until.IsZero() {
				got = until.Format(time.RFC3339)
			}
			if got != tt.until || reason != tt.reason {
				t.Errorf("got until %s because %q, want %s because %q", got, reason, tt.until, tt.reason)
			}
		})
	}
}

// The freeze is over when it is said to be, and not a second before.
func TestFrozenUntil(t *testing.T) {
	all := freezes(t, `
market: {days: mon-fri, from: "09:30", to: "16:00", timezone: America/New_York}
night: {from: "22:45", to: "06:15", timezone: Australia/Lord_Howe}
batch: {cron: "20 1 * * *", for: 100m, timezone: Europe/London}
`[1:])
	for at := time.Date(2026, 3, 1, 0, 7, 0, 0, time.UTC); at.Year() == 2026; at = at.Add(211 * time.Minute) {
		until, reason := Frozen(all, at)
		if until.IsZero() {
			if reason != "" {
				t.Fatalf("%s: not frozen, because %q", at, reason)
			}
			continue
		}
		if t2, _ := Frozen(all, until); !t2.IsZero() {
			t.Fatalf("%s: said to end at %s, and is frozen then until %s", at, until, t2)
		}
		if t2, _ := Frozen(all, until.Add(-time.Second)); !t2.Equal(until) {
			t.Fatalf("%s: said to end at %s, and a second before until %s", at, until, t2)
		}
	}
}

// A freeze that cannot be understood holds: what is not known never passes.
func TestFrozenBroken(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, f := range []*Freeze{
		{Name: "x", Zone: "Mars/Olympus", Days: []string{"sun"}},
		{Name: "x", Zone: "UTC", Cron: "what", For: Duration(time.Hour)},
		{Name: "x", Zone: "UTC", Start: "2026-02-30", End: "2026-03-01"},
		{Name: "x", Zone: "UTC", Start: "2025-01-01"},
		{Name: "x", Zone: "UTC", From: "25:00", To: "26:00"},
		{Name: "x", Zone: "UTC", Days: []string{"someday"}},
		{Name: "x", Zone: "UTC"},
	} {
		if until, reason := f.Frozen(at); !until.After(at) || !strings.HasPrefix(reason, "x: ") {
			t.Errorf("%+v: until %s because %q", f, until, reason)
		}
	}
}

func BenchmarkFrozenForEver(b *testing.B) {
	f := []*Freeze{{Name: "ever", Zone: "Europe/London", Cron: "* * * * *", For: Duration(31 * 24 * time.Hour)}}
	for b.Loop() {
		Frozen(f, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	}
}
