package githubactions

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// minInterval is how often a schedule may come due at the vendor.
const minInterval = 5 * time.Minute

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// parseCron reads a POSIX cron line of five fields; names of months and days are allowed, "@daily" and its like are not.
func parseCron(line string) (cron.Schedule, error) {
	// The library would take a time zone in the line, which the format has a key of its own for.
	if strings.Contains(line, "=") {
		return nil, fmt.Errorf("a cron line has five fields: minute hour day month weekday")
	}
	if n := len(strings.Fields(line)); n != 5 {
		return nil, fmt.Errorf("a cron line has five fields (minute hour day month weekday), this one has %d", n)
	}
	return cronParser.Parse(line)
}

// shortestInterval returns the shortest time between two runs of a schedule, among its next hundred. ok is false where it
// never comes due.
func shortestInterval(s cron.Schedule) (interval time.Duration, ok bool) {
	last := s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	if last.IsZero() {
		return 0, false
	}
	interval = 24 * 366 * time.Hour
	for range 100 {
		next := s.Next(last)
		if next.IsZero() {
			break
		}
		interval, last = min(interval, next.Sub(last)), next
	}
	return interval, true
}

// knownTimeZone reports whether an IANA name is known. Where the machine has no time zone database at all, every name is.
func knownTimeZone(name string) bool {
	if strings.EqualFold(name, "local") {
		return false
	}
	if _, err := time.LoadLocation(name); err == nil {
		return true
	}
	_, err := time.LoadLocation("Europe/London")
	return err != nil
}
