package fleet

import (
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/store/storetest"
)

func TestPast(t *testing.T) {
	h, r, a, b := two(t, storetest.Open(t))
	eu := h.hosts["eu-1"]
	port := "shop/production/default/web/http"
	say := func(requests int64, after time.Duration) {
		h.clock.pass(after)
		eu.traffic = map[string]map[string]link.Traffic{
			port:              {a.Version(): {Requests: requests, Errors: requests / 100}, b.Version(): {Requests: 1}},
			port + ":preview": {a.Version(): {Requests: 5}},
		}
		h.reportOf(t, eu)
	}
	past := func() []Count {
		t.Helper()
		all, err := h.Past(t.Context(), r.Place)
		if err != nil {
			t.Fatal(err)
		}
		var counts []Count
		for _, trail := range all["default"] {
			if trail.Version != a.Version() {
				t.Errorf("the past of %s, which is not the old version", trail.Version)
			}
			if len(trail.Counts) > 0 && trail.Counts[len(trail.Counts)-1].Requests > 0 {
				counts = trail.Counts
			}
		}
		return counts
	}
	say(100, time.Second)
	say(200, time.Second)
	say(250, 100*time.Millisecond)
	if got := past(); len(got) != 2 || got[1].Requests != 200 || got[1].Errors != 2 || got[1].At.Sub(got[0].At) != time.Second {
		t.Errorf("%+v", got)
	}
	for i := range 2 * mostPast {
		say(300+int64(i), time.Second)
	}
	if got := past(); len(got) != mostPast || got[mostPast-1].Requests != 300+2*mostPast-1 || got[0].Requests != 300+mostPast {
		t.Errorf("%d counts, the last %+v", len(got), got[len(got)-1])
	}
	say(1000, -time.Minute)
	if got := past(); len(got) != 1 || got[0].Requests != 1000 {
		t.Errorf("after the clock went back: %+v", got)
	}
	eu.boot, eu.seq = "b2", 0
	say(3, time.Second)
	if got := past(); len(got) != 1 || got[0].Requests != 3 {
		t.Errorf("after another boot: %+v", got)
	}
}
