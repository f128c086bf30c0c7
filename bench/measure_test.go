package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	tests := []struct {
		name string
		in   []float64
		want float64
	}{
		{"none", nil, 0},
		{"one", []float64{3}, 3},
		{"odd", []float64{9, 1, 5}, 5},
		{"even takes the lower", []float64{4, 1, 3, 2}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := median(tt.in, func(f float64) float64 { return f }); got != tt.want {
				t.Errorf("median = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDrainFindsSecrets(t *testing.T) {
	tests := []struct {
		name   string
		chunks []string
		want   bool
	}{
		{"within", []string{"a hunter22 b"}, true},
		{"across a border", []string{"a hunt", "er22 b"}, true},
		{"across two borders", []string{"a hun", "te", "r22"}, true},
		{"masked", []string{"a ***", " b"}, false},
		{"parts that do not meet", []string{"hunt", "-er22"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDrain(map[string]string{"S": "hunter22"})
			for _, c := range tt.chunks {
				if n, err := d.Write([]byte(c)); n != len(c) || err != nil {
					t.Fatalf("Write = %d, %v", n, err)
				}
			}
			if d.leaked != tt.want {
				t.Errorf("leaked = %v, want %v", d.leaked, tt.want)
			}
			if all := strings.Join(tt.chunks, ""); string(d.tail) != all || d.bytes != int64(len(all)) {
				t.Errorf("tail %q of %d bytes, want %q", d.tail, d.bytes, all)
			}
		})
	}
}

func TestMeasureTellsOfFailures(t *testing.T) {
	_, err := measure(t.Context(), exec.Command("bash", "-c", "echo last words; exit 3"), nil)
	if err == nil || !strings.Contains(err.Error(), "last words") || !strings.Contains(err.Error(), "3") {
		t.Errorf("error %v, want the exit code and the last words", err)
	}
}

func TestReadPeak(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system has no /proc/self/status")
	}
	if got := readPeak(os.Getpid()); got < 1<<20 {
		t.Errorf("this process had %d bytes at most", got)
	}
	if got := readPeak(0); got != 0 {
		t.Errorf("no process had %d bytes", got)
	}
}
