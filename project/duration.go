package project

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Duration is a time span that files and JSON have as text: numbers with the units ms, s, m, h and d (24 h), such as "90s" or "1h30m".
type Duration time.Duration

var (
	durationText = lazy.New(`^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$`)
	durationPart = lazy.New(`([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)`)
	durationUnit = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
)

// longest is the longest span that makes sense anywhere in a release.
const longest = 366 * 24 * time.Hour

// parseDuration reads text that matches durationText. Parts shorter than a nanosecond are lost.
func parseDuration(text string) (Duration, error) {
	var sum float64
	for _, m := range durationPart.FindAllStringSubmatch(text) {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, errors.New("the number is too large")
		}
		sum += n * float64(durationUnit[m[2]])
	}
	if sum > float64(longest) {
		return 0, errors.New("it is more than a year")
	}
	return Duration(sum), nil
}

// Duration returns the span in the standard library's type.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

// String returns the span as a file has it: "1h30m", "250ms".
func (d Duration) String() string {
	t := time.Duration(d)
	if t < 0 {
		return "-" + (-d).String()
	}
	if t%time.Millisecond != 0 {
		return strconv.FormatFloat(float64(t)/float64(time.Millisecond), 'f', -1, 64) + "ms"
	}
	var b strings.Builder
	for _, u := range []string{"d", "h", "m", "s", "ms"} {
		if n := t / durationUnit[u]; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u)
			t -= n * durationUnit[u]
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(b []byte) error {
	if !durationText.Match(b) {
		return fmt.Errorf("%q is no duration such as 30s or 5m", b)
	}
	v, err := parseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration %q: %w", b, err)
	}
	*d = v
	return nil
}

// duration binds a span of a range; a least one of 0 allows none.
func duration(dst *Duration, what string, least, most time.Duration) bind.Value {
	return bind.Parsed(dst, what, bind.Grammar[Duration]{
		Form: "a duration such as 30s or 5m", Pattern: durationText,
		Parse: func(text string) (Duration, error) {
			d, err := parseDuration(text)
			switch {
			case err != nil:
				return 0, err
			case d.Duration() < least:
				return 0, fmt.Errorf("the least is %s", Duration(least))
			case d.Duration() > most:
				return 0, fmt.Errorf("the most is %s", Duration(most))
			}
			return d, nil
		},
		Format: func(d Duration) string {
			if d == 0 {
				return ""
			}
			return d.String()
		},
	})
}
