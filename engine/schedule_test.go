package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/engine"
)

func TestNext(t *testing.T) {
	// In 2026, New York's clocks go from 02:00 to 03:00 on 8 March (07:00 UTC) and from 02:00 back to 01:00 on 1 November (06:00 UTC);
	// Lord Howe's by half an hour, on 5 April from 02:00 back to 01:30 (15:00 UTC the day before). Apia left 30 December 2011 out.
	for _, tt := range []struct {
		name, cron, zone, after string
		want                    []string
	}{
		{"UTC", "*/20 9 * * 1-5", "", "2026-01-02T09:10:00Z", []string{"2026-01-02T09:20:00Z", "2026-01-02T09:40:00Z", "2026-01-05T09:00:00Z"}},
		{"after is not included", "0 9 * * *", "", "2026-01-02T09:00:00Z", []string{"2026-01-03T09:00:00Z"}},
		{"seconds after", "0 9 * * *", "", "2026-01-02T08:59:59.999Z", []string{"2026-01-02T09:00:00Z"}},
		{"a zone", "30 9 * * *", "America/New_York", "2026-01-02T00:00:00Z", []string{"2026-01-02T14:30:00Z"}},
		{"summer", "30 9 * * *", "America/New_York", "2026-07-02T00:00:00Z", []string{"2026-07-02T13:30:00Z"}},
		{"in the gap", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"}},
		{"all of the gap is due once", "*/15 2 * * *", "America/New_York", "2026-03-08T06:59:00Z", []string{"2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"}},
		{"each hour over the gap", "0 * * * *", "America/New_York", "2026-03-08T05:30:00Z", []string{"2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"}},
		{"twice is once", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}},
		{"asked in the repeated hour", "45 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", []string{"2026-11-02T06:45:00Z"}},
		{"asked before the repetition", "45 1 * * *", "America/New_York", "2026-11-01T05:40:00Z", []string{"2026-11-01T05:45:00Z", "2026-11-02T06:45:00Z"}},
		{"just after the repeated hour", "0 2 * * *", "America/New_York", "2026-11-01T05:59:00Z", []string{"2026-11-01T07:00:00Z"}},
		{"half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T10:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
		{"a day that was left out", "0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", []string{"2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"}},
		{"29 February", "0 0 29 2 *", "Europe/London", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339Nano, tt.after)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if at, err = engine.Next(tt.cron, tt.zone, at); err != nil {
					t.Fatal(err)
				}
				if got := at.Format(time.RFC3339); got != want {
					t.Fatalf("due at %s, want %s", got, want)
				}
			}
		})
	}
}

func TestNextRefuses(t *testing.T) {
	for _, tt := range []struct{ cron, zone, want string }{
		{"", "", "five fields"},
		{"* * * *", "", "five fields"},
		{"0 * * * * *", "", "five fields"},
		{"@daily", "", "five fields"},
		{"TZ=UTC * * * *", "", "five fields"},
		{"61 * * * *", "", "61"},
		{"*/0 * * * *", "", "cron line"},
		{"0 0 30 2 *", "", "not due within five years"},
		{"* * * * *", "Mars/Olympus", `time zone "Mars/Olympus" is not known`},
		{"* * * * *", "Local", `time zone "local" is not known`},
		{"* * * * *", "../etc", "is not known"},
	} {
		if got, err := engine.Next(tt.cron, tt.zone, time.Now()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q in %q: %v, %v; want %q in the error", tt.cron, tt.zone, got, err, tt.want)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add("*/5 * * * *", "Europe/London", int64(1_780_000_000))
	f.Add("0 2 * * 7", "America/Sao_Paulo", int64(0))
	f.Add("TZ=", "", int64(-1))
	f.Fuzz(func(t *testing.T, cron, zone string, unix int64) {
		if unix < -1<<33 || unix > 1<<33 {
			return
		}
		after := time.Unix(unix, 0)
		next, err := engine.Next(cron, zone, after)
		if err == nil && !next.After(after) {
			t.Errorf("%q in %q after %v is %v", cron, zone, after, next)
		}
	})
}
