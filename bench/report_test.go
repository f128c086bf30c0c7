package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func figures() report {
	return report{Go: "go1.26", System: "linux/amd64", CPUs: 2, Repeat: 5, Figures: []Figure{
		{Name: "a run of one step", Unit: "ms", Values: map[string]float64{"floor": 5, "gantry": 40, "act": 2370.4}, Budget: &Budget{60, "value"}},
		{Name: "one more step", Unit: "ms", Values: map[string]float64{"floor": 2, "gantry": 3}, Budget: &Budget{1.25, "ratio"}},
		{Name: "one more job", Unit: "ms", Values: map[string]float64{"floor": 0, "gantry": 3}, Budget: &Budget{2, "ratio"}},
		{Name: "its peak of memory", Unit: "MB", Values: map[string]float64{"gantry": 41.5}},
		{Name: "not measured", Unit: "s", Budget: &Budget{1, "value"}},
	}}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := figures().table(&b); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "table.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestOver(t *testing.T) {
	if got, want := figures().over(), []string{"one more step"}; !slices.Equal(got, want) {
		t.Errorf("over = %v, want %v: what was not measured is not over", got, want)
	}
}

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	if err := figures().write(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Figures) != 5 || got.Figures[1].Values["gantry"] != 3 {
		t.Errorf("read back: %+v", got)
	}
}

func TestChoose(t *testing.T) {
	got, err := choose("log,step")
	if err != nil || len(got) != 2 || got[0].name != "step" {
		t.Errorf("choose = %v, %v; want step and log in the table's order", got, err)
	}
	if _, err := choose("nothing"); err == nil || !strings.Contains(err.Error(), "skewed") {
		t.Errorf("error %v, want one that lists the names", err)
	}
}
