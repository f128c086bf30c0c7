package analysis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// short writes a figure with three digits.
func short(f float64) string {
	if a := math.Abs(f); a >= 1000 && a < 1e7 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}

// percent writes a share.
func percent(share float64) string { return short(share*100) + " %" }

// seconds writes a time in the unit that suits it.
func seconds(s float64) string {
	switch a := math.Abs(s); {
	case a >= 1:
		return short(s) + " s"
	case a >= 1e-3:
		return short(s*1e3) + " ms"
	}
	return short(s*1e6) + " µs"
}

// more says by how much something has grown.
func more(grown float64) string {
	switch {
	case grown >= 1:
		return short(grown+1) + " times as long"
	case grown < 0:
		return percent(-grown) + " less time"
	}
	return percent(grown) + " more time"
}

func of(part, whole int64) string { return fmt.Sprintf("%d of %d", part, whole) }

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func listed(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// floor writes what a difference must reach to count.
func (m *Metric) floor() string {
	if m.Floor == 0 && m.AtLeast == 0 {
		return "0"
	}
	switch m.Kind {
	case Errors, SLO:
		if m.Floor == 0.01 {
			return "1 point"
		}
		return short(m.Floor*100) + " points"
	case Latency:
		if m.AtLeast > 0 {
			return percent(m.Floor) + " and " + seconds(m.AtLeast)
		}
	case Values:
		if m.AtLeast > 0 {
			return percent(m.Floor) + " and " + short(m.AtLeast)
		}
	}
	return percent(m.Floor)
}
