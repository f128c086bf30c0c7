package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

func TestSARIFIsValid(t *testing.T) {
	source := []byte("on: push\n  \"é😀\": xyz\r\n")
	ds := pipeline.Diagnostics{
		{Severity: pipeline.Error, Pos: pipeline.Pos{File: ".github/work flows/ü.yml", Line: 2, Col: 4}, Width: 6, Code: "unknown-key", Message: "unexpected key", Hint: "did you mean x?"},
		{Severity: pipeline.Warning, Pos: pipeline.Pos{File: "/abs/x.yml", Line: 9, Col: 70}, Width: 3, Code: "unknown-key", Message: "behind the end"},
		{Severity: pipeline.Note, Pos: pipeline.Pos{File: "a.yml"}, Code: "empty-file", Message: "nothing in it"},
		{Severity: pipeline.Error, Code: "flag", Message: "stands in no file"},
	}
	report := sarifReport(ds, func(string) []byte { return source })
	if err := report.Validate(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := writeSARIF(&b, ds, func(string) []byte { return source }); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct{ ID, Name string }
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           *struct{ StartLine, StartColumn, EndColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	run := got.Runs[0]
	if rules := run.Tool.Driver.Rules; len(rules) != 3 || rules[0].ID != "unknown-key" || rules[0].Name != "UnknownKey" {
		t.Errorf("rules %+v", rules)
	}
	first := run.Results[0]
	place := first.Locations[0].PhysicalLocation
	if first.Level != "error" || first.RuleIndex != 0 || first.Message.Text != "unexpected key (did you mean x?)" {
		t.Errorf("result %+v", first)
	}
	// Columns count UTF-16 code units: é is one, 😀 two.
	if place.ArtifactLocation.URI != ".github/work%20flows/%C3%BC.yml" || place.Region.StartLine != 2 || place.Region.StartColumn != 4 || place.Region.EndColumn != 7 {
		t.Errorf("place %+v %+v", place, place.Region)
	}
	if uri := run.Results[1].Locations[0].PhysicalLocation.ArtifactLocation.URI; uri != "file:///abs/x.yml" {
		t.Errorf("absolute file: %s", uri)
	}
	if run.Results[2].Locations[0].PhysicalLocation.Region != nil || len(run.Results[3].Locations) != 0 {
		t.Errorf("places that are not known: %+v", run.Results[2:])
	}
}
