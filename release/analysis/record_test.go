package analysis

import (
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// records are judgements of all sorts.
func records(t *testing.T) map[string]*Record {
	t.Helper()
	random := newRandom(7)
	step := Config{Level: 0.002, Seed: 42, Metrics: []Metric{
		errorsMetric(), latencyMetric(),
		{Name: "queue", Kind: Values, Query: `avg(queue_length{version="$version"})`, Floor: 0.1, Samples: 10},
		{Name: "memory", Kind: Threshold, Query: `process_resident_memory_bytes{version="$version"}`, Above: pointer(5e8), Informative: true},
		{Name: "availability", Kind: SLO, Objective: 0.999, Samples: 100},
	}}
	series := func(from float64, n int) []Number {
		out := make([]Number, n)
		for i := range out {
			out[i] = Number(from + random.NormFloat64())
		}
		return out
	}
	windowsOf := func(share, requests int64, failing, median float64) Samples {
		return Samples{Windows: windows(random, 60, requests*share/100, failing, lognormal(random, median, 0.5))}
	}
	stable := windowsOf(90, 20, 0.001, 0.03)
	data := func(canary Samples, queue []Number, good float64) map[string]Data {
		return map[string]Data{
			"errors": {Canary: canary, Reference: stable}, "latency": {Canary: canary, Reference: stable},
			"queue":        {Canary: Samples{Values: queue}, Reference: Samples{Values: series(20, 30)}},
			"memory":       {Canary: Samples{Values: numbers(3e8, 6e8, 4e8)}},
			"availability": {Canary: Samples{Events: &Events{Good: Number(good), Total: 1000}}},
		}
	}
	out := map[string]*Record{}
	add := func(name string, r *Record, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = r
	}
	r, err := NewRecord(step, data(windowsOf(10, 20, 0.001, 0.03), series(20, 30), 1000))
	add("good", r, err)
	r, err = NewRecord(step, data(windowsOf(10, 20, 0.2, 0.06), series(30, 30), 990))
	add("bad", r, err)
	gaps := series(20, 30)
	gaps[3] = Number(math.NaN())
	few := data(Samples{Windows: windows(random, 60, 0, 0, nil)}, gaps, 1000)
	few["availability"] = Data{Canary: Samples{Failed: true, Missing: "the query timed out after 10 s"}}
	r, err = NewRecord(step, few)
	add("missing", r, err)

	watch := Config{Level: 0.009, Metrics: []Metric{errorsMetric(), latencyMetric()}}
	scrape := func(failing, median float64) Scrape {
		return Scrape{
			Canary:    windows(random, 1, 2, failing, lognormal(random, median, 0.5))[0],
			Reference: windows(random, 1, 38, 0.001, lognormal(random, 0.03, 0.5))[0],
		}
	}
	var scrapes []Scrape
	for range 40 {
		scrapes = append(scrapes, scrape(0.001, 0.03))
	}
	r, err = NewWatchRecord(watch, nil, scrapes)
	add("watch-going-on", r, err)
	w, err := NewWatch(watch)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scrapes {
		w.Observe(s)
	}
	r, err = NewWatchRecord(watch, w.State(), []Scrape{scrape(0.5, 0.03), scrape(1, 0.03), scrape(1, 0.03), scrape(1, 0.03)})
	add("watch-failing", r, err)
	var slow []Scrape
	for range 30 {
		slow = append(slow, scrape(0, 0.09))
	}
	r, err = NewWatchRecord(watch, w.State(), slow)
	add("watch-slow", r, err)
	down := Scrape{Canary: Window{Missing: true}, Reference: Window{Requests: 38}}
	r, err = NewWatchRecord(watch, nil, []Scrape{down, down, down})
	add("watch-down", r, err)
	return out
}

// TestRecords reads each record back from its JSON, computes it again, and explains it.
func TestRecords(t *testing.T) {
	want := map[string]Verdict{"good": Pass, "bad": Fail, "missing": Error, "watch-going-on": Inconclusive, "watch-failing": Fail, "watch-slow": Fail, "watch-down": Fail}
	for name, r := range records(t) {
		t.Run(name, func(t *testing.T) {
			if r.Judgement.Verdict != want[name] {
				t.Errorf("the verdict is %s: %s", r.Judgement.Verdict, r.Explain())
			}
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var back Record
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(&back)
			if err != nil {
				t.Fatal(err)
			}
			if string(again) != string(b) {
				t.Error("the JSON changes when it is read and written")
			}
			if err := back.Verify(); err != nil {
				t.Error(err)
			}
			got, err := back.Recompute()
			if err != nil || !reflect.DeepEqual(got, r.Judgement) {
				t.Errorf("computed again it is %+v, %v\nwant %+v", got, err, r.Judgement)
			}
			golden(t, name+".txt", back.Explain())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// TestRecordChanged: whoever changes a record is found out.
func TestRecordChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Record)
		want   error
	}{
		{"the configuration", func(r *Record) { r.Config.Level = 0.5e-9 }, ErrHash},
		{"a floor", func(r *Record) { r.Config.Metrics[0].Floor = 0.9 }, ErrHash},
		{"the verdict", func(r *Record) { r.Judgement.Verdict = Pass }, ErrDiffers},
		{"a figure", func(r *Record) { *r.Judgement.Results[0].P *= 1 + 1e-11 }, ErrDiffers},
		{"a sample", func(r *Record) {
			r.Data["errors"].Canary.Windows[0].Errors = 0
			r.Data["errors"].Canary.Windows[0].Requests++
		}, ErrDiffers},
		{"the version", func(r *Record) { r.Version = 9 }, ErrVersion},
	} {
		r := records(t)["bad"]
		c.change(r)
		if err := r.Verify(); !errors.Is(err, c.want) {
			t.Errorf("%s changed: %v, want %v", c.name, err, c.want)
		}
	}
}

// FuzzRecord reads whatever there may be on a disk: no panic, no endless loop, and never a pass without a metric that passes.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"config":{"level":0.01,"metrics":[{"name":"e","kind":"errors","level":0.01,"worse":"higher","samples":1}],"buckets":{"least":1e-4,"step":1.08,"count":174},"missing_scrapes":3,"seed":0},
		"data":{"e":{"canary":{"windows":[{"requests":10,"errors":3,"latency":[[3,7]]}]},"reference":{"windows":[{"requests":100}]}}}}`))
	f.Add([]byte(`{"version":1,"config":{"level":0.01,"metrics":[{"name":"v","kind":"values","level":0.01,"worse":"lower","samples":1}],"missing_scrapes":3,"seed":0},
		"data":{"v":{"canary":{"values":[1,2,"NaN"]},"reference":{"values":["+Inf",3]}}}}`))
	f.Add([]byte(`{"version":1,"config":{"level":0.01,"metrics":[{"name":"l","kind":"latency","level":0.01,"worse":"higher","samples":1}],"missing_scrapes":3,"seed":0},
		"start":{"scrapes":9,"metrics":[{"bets":[1,1,1,1,1,1,1],"rounds":4,"clumps":[{},{}],"canary":{"latency":[1,2]},"reference":{"latency":[50,20]}}]},
		"scrapes":[{"canary":{"requests":3,"latency":[[1,2]]},"reference":{"requests":30,"latency":[[0,20],[2,5]]}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if json.Unmarshal(b, &r) != nil {
			return
		}
		if hash, err := r.Config.Hash(); err == nil {
			r.Hash = hash
		}
		j, err := r.Recompute()
		if err != nil {
			return
		}
		r.Judgement = j
		if j.Verdict == Pass && len(j.Results) == 0 {
			t.Error("passes by nothing")
		}
		if !strings.HasPrefix(r.Explain(), "Verdict: "+string(j.Verdict)) {
			t.Error("the explanation does not say the verdict")
		}
		out, err := json.Marshal(&r)
		if err != nil {
			t.Fatalf("it was read but cannot be written: %v", err)
		}
		var back Record
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("it was written but cannot be read: %v", err)
		}
		if err := back.Verify(); err != nil {
			t.Errorf("after a round trip: %v", err)
		}
	})
}
