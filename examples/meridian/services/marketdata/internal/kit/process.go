package kit

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// process adds what a process costs, under the names that Prometheus' own clients use
// (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics). Memory and processor time come from
// /proc; where there is none they are left out.
func (r *Registry) process(started time.Time) {
	r.Gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", func() (float64, bool) {
		return float64(started.UnixMilli()) / 1000, true
	})
	r.Gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", func() (float64, bool) {
		pages, ok := statistic("/proc/self/statm", 1)
		return pages * float64(os.Getpagesize()), ok
	})
	r.add(function{"process_cpu_seconds_total", "Processor time used, in seconds.", "counter", func() (float64, bool) {
		// Fields 14 and 15 of proc(5), of which 11 and 12 remain after the name's closing parenthesis. The unit is
		// 1/100 s on every Linux that Go runs on.
		user, ok := statistic("/proc/self/stat", 11)
		system, ok2 := statistic("/proc/self/stat", 12)
		return (user + system) / 100, ok && ok2
	}})
	r.Gauge("go_goroutines", "Goroutines that exist.", func() (float64, bool) { return float64(runtime.NumGoroutine()), true })
}

// statistic reads a field of a file of /proc, counted from 0, behind the name in parentheses where there is one.
func statistic(file string, field int) (float64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	text := string(b)
	if i := strings.LastIndexByte(text, ')'); i >= 0 {
		text = text[i+1:]
	}
	fields := strings.Fields(text)
	if field >= len(fields) {
		return 0, false
	}
	v, err := strconv.ParseFloat(fields[field], 64)
	return v, err == nil
}
