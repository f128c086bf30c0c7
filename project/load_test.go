package project

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// folder is a project with all that its gantry.yaml names.
func folder(t *testing.T) fstest.MapFS {
	t.Helper()
	f := fstest.MapFS{}
	for name, file := range map[string]string{
		"deploy/gantry.yaml":           "testdata/good/full.yaml",
		"deploy/slo/orders.yaml":       "openslo/testdata/good/ratio.yaml",
		"deploy/slo/more.yaml":         "openslo/testdata/good/several.yaml",
		"deploy/calendars/nyse.ics":    "ics/testdata/good/holidays.ics",
		"deploy/calendars/outages.ics": "ics/testdata/good/series.ics",
	} {
		f[name] = &fstest.MapFile{Data: read(t, file)}
	}
	return f
}

func TestLoad(t *testing.T) {
	p, diags, err := Load(folder(t), "deploy/gantry.yaml", Options{CheckQuery: func(q string) error {
		if strings.Contains(q, "$version") {
			return errors.New("a variable was left: " + q)
		}
		return nil
	}})
	if err != nil || p == nil {
		t.Fatal(err, diags.Err())
	}
	production := p.Environment("production")
	slos := production.Placement("eu-west", "gateway").Service.Analysis.SLOs
	if len(slos) != 2 || len(slos[0].SLOs) != 1 || slos[0].SLOs[0].Name != "orders" || len(slos[1].SLOs) != 1 || slos[1].SLOs[0].Name != "fast" {
		t.Errorf("objectives: %+v", slos)
	}
	for at, want := range map[string]string{
		"2026-11-25T15:00:00Z": "market-hours: orders are open (wed 09:30 to 16:00 America/New_York)",
		"2026-11-26T15:00:00Z": "", // a holiday
		"2026-11-27T17:00:00Z": "market-hours: orders are open (fri 09:30 to 16:00 America/New_York)",
		"2026-11-27T18:30:00Z": "", // closed early
		"2026-03-08T07:30:00Z": "outages: Window",
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, reason := production.Gates.Frozen(when); reason != want {
			t.Errorf("%s: got %q, want %q", at, reason, want)
		}
	}
	// The exception ends the window before its time.
	if until, _ := production.Gates.Frozen(time.Date(2026, 11, 27, 17, 0, 0, 0, time.UTC)); !until.Equal(time.Date(2026, 11, 27, 18, 0, 0, 0, time.UTC)) {
		t.Errorf("frozen until %s", until)
	}
}

// A project is the same after it was JSON, calendars and objectives included.
func TestJSON(t *testing.T) {
	p, diags, err := Load(folder(t), "deploy/gantry.yaml", Options{})
	if err != nil || p == nil {
		t.Fatal(err, diags.Err())
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/full.json", string(text)+"\n")
	var back Project
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(&back, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(again)); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
	at := time.Date(2026, 11, 26, 15, 0, 0, 0, time.UTC)
	if _, reason := back.Environment("production").Gates.Frozen(at); reason != "" {
		t.Errorf("the exceptions were lost: %s", reason)
	}
}

func TestLoadMistakes(t *testing.T) {
	f := folder(t)
	delete(f, "deploy/calendars/nyse.ics")
	f["deploy/calendars/outages.ics"] = &fstest.MapFile{Data: []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR\n")}
	f["deploy/slo/orders.yaml"] = &fstest.MapFile{Data: []byte("kind: SLO\n")}
	f["deploy/slo/more.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(f["deploy/slo/more.yaml"].Data), "name: fast", "name: quick"))}
	p, diags, err := Load(f, "deploy/gantry.yaml", Options{CheckQuery: func(string) error { return errors.New("no such function") }})
	if err != nil {
		t.Fatal(err)
	}
	if p != nil {
		t.Error("a project in spite of errors")
	}
	var got strings.Builder
	diags.Render(&got, func(name string) []byte {
		b, err := f.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		return b
	})
	golden(t, "testdata/load.txt", got.String())

	if _, _, err := Load(f, "gantry.yaml", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestExpandQuery(t *testing.T) {
	got := ExpandQuery(`a{v="$version",s="$service",x="$versions"} $region$environment`, "gw", `1"2`, "prod", "eu")
	if want := `a{v="1\"2",s="gw",x="$versions"} euprod`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzParse: no input makes it panic; there is a project or an error, never both; every finding has a place in the file.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good", "testdata/bad"} {
		entries, err := os.ReadDir(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".yaml") {
				b, err := os.ReadFile(pattern + "/" + e.Name())
				if err != nil {
					f.Fatal(err)
				}
				f.Add(b)
			}
		}
	}
	at := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, content []byte) {
		p, diags := Parse("gantry.yaml", content)
		if (p == nil) != diags.HasErrors() {
			t.Fatalf("a project: %v, errors: %v", p != nil, diags.HasErrors())
		}
		for _, d := range diags {
			if d.Pos.Line < 1 || d.Pos.Col < 1 || d.Message == "" || d.Code == "" {
				t.Fatalf("a finding without a place or a text: %+v", d)
			}
		}
		if p == nil {
			return
		}
		for _, e := range p.Environments {
			if until, _ := e.Gates.Frozen(at); !until.IsZero() && !until.After(at) {
				t.Fatalf("frozen at %s until %s", at, until)
			}
			for _, w := range e.Placements {
				if w.Service.Command.IsZero() || w.Service.Strategy.Kind == "" || w.Service.Health.Check == "" || len(w.Targets) == 0 {
					t.Fatalf("a placement with holes: %+v", w.Service)
				}
			}
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
	})
}
