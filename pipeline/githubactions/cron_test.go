package githubactions

import (
	"testing"
	"time"
)

func TestParseCron(t *testing.T) {
	for line, interval := range map[string]time.Duration{
		"*/4 * * * *":         4 * time.Minute,
		"*/5 * * * *":         5 * time.Minute,
		"* * * * *":           time.Minute,
		"58,2 * * * *":        4 * time.Minute, // over the hour
		"30 5 * * 1-5":        24 * time.Hour,
		"0 0 1 JAN *":         365 * 24 * time.Hour,
		"15 4,5 * * MON,THU ": time.Hour,
	} {
		s, err := parseCron(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if got, ok := shortestInterval(s); !ok || got != interval {
			t.Errorf("%q: shortest interval %v, want %v", line, got, interval)
		}
	}
	if s, err := parseCron("0 0 30 2 *"); err != nil {
		t.Error(err)
	} else if _, ok := shortestInterval(s); ok {
		t.Error("30 February comes due")
	}
	for _, bad := range []string{"", "0 */3 * *", "0 0 0 * * *", "@daily", "TZ=UTC", "CRON_TZ=UTC 0 0 * * *", "61 * * * *", "a b c d e", "*/0 * * * *"} {
		if _, err := parseCron(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
