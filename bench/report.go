package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// Figure is one line of the table.
type Figure struct {
	Name string `json:"name"`
	// Unit of the values: "ms", "s", "MB", "/s" or "%".
	Unit string `json:"unit"`
	// Values by contender.
	Values map[string]float64 `json:"values"`
	Budget *Budget            `json:"budget,omitempty"`
}

// Budget is what a figure may be.
type Budget struct {
	Limit float64 `json:"limit"`
	// Of is "value" where Limit is in the figure's unit, "ratio" where it is a multiple of the floor.
	Of string `json:"of"`
}

func (f *Figure) set(contender string, v float64) {
	if f.Values == nil {
		f.Values = map[string]float64{}
	}
	f.Values[contender] = v
}

// ratio returns a contender's multiple of the floor; false where either is missing or there is no floor to speak of.
func (f *Figure) ratio(contender string) (float64, bool) {
	v, ok := f.Values[contender]
	base, has := f.Values["floor"]
	if !ok || !has || base <= 0 {
		return 0, false
	}
	return v / base, true
}

// verdict returns "ok", "over", or nothing where there is no budget or no figure.
func (f *Figure) verdict() string {
	if f.Budget == nil {
		return ""
	}
	v, ok := f.Values["gantry"]
	if f.Budget.Of == "ratio" {
		v, ok = f.ratio("gantry")
	}
	switch {
	case !ok:
		return ""
	case v <= f.Budget.Limit:
		return "ok"
	}
	return "over"
}

// budget returns the budget as people read it.
func (f *Figure) budget() string {
	switch {
	case f.Budget == nil:
		return ""
	case f.Budget.Of == "ratio":
		return fmt.Sprintf("≤ %.4g ×", f.Budget.Limit)
	}
	return fmt.Sprintf("≤ %.4g %s", f.Budget.Limit, f.Unit)
}

// report is what the program tells in the end.
type report struct {
	Go      string   `json:"go"`
	System  string   `json:"system"`
	CPUs    int      `json:"cpus"`
	Repeat  int      `json:"repeat"`
	Figures []Figure `json:"figures"`
}

func newReport(figures []Figure, repeat int) report {
	return report{Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Repeat: repeat, Figures: figures}
}

// table writes the figures for people. Beside each value stands its multiple of the floor.
func (r report) table(out io.Writer) error {
	fmt.Fprintf(out, "%s, %d CPUs, %s; medians; × is the multiple of the floor\n\n", r.System, r.CPUs, r.Go)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFLOOR\tGANTRY\t\tOTHERS\tBUDGET\t")
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.cell("floor"), f.cell("gantry"), f.times("gantry"), f.others(), f.budget(), f.verdict())
	}
	return w.Flush()
}

func (f *Figure) cell(contender string) string {
	v, ok := f.Values[contender]
	if !ok {
		return "-"
	}
	if v >= 100 {
		return fmt.Sprintf("%.0f %s", v, f.Unit) // %g would write 2370 with an exponent
	}
	return fmt.Sprintf("%.3g %s", v, f.Unit)
}

// others are all contenders but the two that have columns of their own, by name.
func (f *Figure) others() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(f.Values)) {
		if name == "floor" || name == "gantry" {
			continue
		}
		text := name + " " + f.cell(name)
		if t := f.times(name); t != "" {
			text += " (" + t + ")"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func (f *Figure) times(contender string) string {
	r, ok := f.ratio(contender)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.2f ×", r)
}

// over names the figures that are over their budgets.
func (r report) over() []string {
	var names []string
	for _, f := range r.Figures {
		if f.verdict() == "over" {
			names = append(names, f.Name)
		}
	}
	return names
}

// write stores the report as JSON.
func (r report) write(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
