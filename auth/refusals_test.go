package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-ops/gantry/store"
)

func refuse(f *fixture, subject string, address int) {
	f.refused(f.t.Context(), Client{Address: netip.AddrFrom4([4]byte{198, 51, byte(address >> 8), byte(address)})},
		store.Event{Type: eventLoginRefused, Actor: anonymous, Subject: subject}, "password", "")
}

func TestRefusalsAreCounted(t *testing.T) {
	f := lite(t)
	var seq int64
	for range 5000 {
		refuse(f, "ann", 1)
	}
	refuse(f, "bo", 1)
	refuse(f, "ann", 2)
	same(t, "at once", f.events(&seq), []string{
		"login.refused of ann by anonymous: password",
		"login.refused of bo by anonymous: password",
		"login.refused of ann by anonymous: password",
	})
	if err := f.refusals.flush(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	same(t, "too early", f.events(&seq), nil)
	began := f.clock.now()
	f.clock.pass(refusalWindow)
	if err := f.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := f.db.Events(t.Context(), store.EventQuery{After: seq})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	var data refusal
	if err := json.Unmarshal(all[0].Data, &data); err != nil {
		t.Fatal(err)
	}
	if all[0].Subject != "ann" || data.Count != 4999 || !data.Since.Equal(began) || data.Address != "198.51.0.1" {
		t.Errorf("got %s: %s", all[0].Subject, all[0].Data)
	}
	f.events(&seq)
	refuse(f, "ann", 1)
	same(t, "a new minute", f.events(&seq), []string{"login.refused of ann by anonymous: password"})
}

// TestRefusalsAreBounded floods from many addresses for an hour: no refusal is lost as a number, and few are written.
func TestRefusalsAreBounded(t *testing.T) {
	f := lite(t)
	const aMinute, minutes = 2000, 15
	for minute := range minutes {
		for i := range aMinute {
			refuse(f, fmt.Sprintf("account-%d", i), minute*aMinute+i)
			f.clock.pass(refusalWindow / aMinute)
		}
		if len(f.refusals.kinds) > refusalKinds+10 {
			t.Fatalf("%d kinds are remembered", len(f.refusals.kinds))
		}
		if err := f.refusals.flush(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := f.db.Events(t.Context(), store.EventQuery{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range all {
		var data refusal
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if total++; data.Count > 0 {
			total += data.Count - 1
		}
	}
	if total != aMinute*minutes {
		t.Errorf("%d of %d refusals were told", total, aMinute*minutes)
	}
	if most := refusalBurst + 2*60*minutes; len(all) > most {
		t.Errorf("%d events, at most %d", len(all), most)
	}
}

// TestCountedRefusalsAreWrittenByThemselves: no further request is needed.
func TestCountedRefusalsAreWrittenByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRefusals(nil, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
		var written []*counted
		r.sink = func(_ context.Context, list []*counted) error { written = append(written, list...); return nil }
		for range 10 {
			r.record(t.Context(), store.Event{Type: eventLoginRefused, Actor: anonymous}, refusal{Reason: "password"})
		}
		time.Sleep(refusalWindow)
		synctest.Wait()
		if len(written) != 2 || written[1].data.Count != 9 {
			t.Errorf("%d were written", len(written))
		}
		// With nothing left to write, nothing is woken any more.
		time.Sleep(10 * refusalWindow)
		if r.wound {
			t.Error("the clock goes on")
		}
	})
}

// TestRefusalsThatCannotBeWritten are refused all the same, and logged.
func TestRefusalsThatCannotBeWritten(t *testing.T) {
	var log bytes.Buffer
	f := lite(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	f.db.Close()
	id := &Identity{Kind: KindAccount, Account: "ann", Actor: "account:ann"}
	if err := f.Authorize(t.Context(), id, RunStart, "web"); err == nil {
		t.Error("allowed")
	}
	if !strings.Contains(log.String(), "audit trail") || !strings.Contains(log.String(), "account:ann") {
		t.Errorf("got %q", &log)
	}
}
