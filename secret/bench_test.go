package secret

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// logLines returns text as builds print it, without secrets.
func logLines(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "2026-03-04T05:06:%02d.%03dZ [%d] INFO compiling module github.com/example/service/internal/part%d (cached: %v)\n", i%60, i%1000, i, i%97, i%3 == 0)
		if i%5 == 0 {
			fmt.Fprintf(&b, "sha256:%064x  ./dist/assets/index-%08x.js  %d kB │ gzip: %d kB\n", uint64(i)*0x9E3779B97F4A7C15, uint32(i)*2654435761, i%400, i%90)
		}
	}
	return b.Bytes()[:size]
}

var fiveSecrets = []string{
	"hunter2-Pa55w0rd!", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "AKIAIOSFODNN7EXAMPLE",
	"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "postgres://app:s3cr3t@db.internal:5432/orders?sslmode=require",
}

// indexEach masks by one bytes.Index for each pattern: the way that was measured against the index. It leaves overlaps alone.
func indexEach(dst, src []byte, patterns [][]byte) []byte {
	next := make([]int, len(patterns))
	for i, p := range patterns {
		next[i] = bytes.Index(src, p)
	}
	at := 0
	for {
		best := -1
		for i, p := range patterns {
			if next[i] >= 0 && next[i] < at {
				if next[i] = bytes.Index(src[at:], p); next[i] >= 0 {
					next[i] += at
				}
			}
			if next[i] >= 0 && (best < 0 || next[i] < next[best]) {
				best = i
			}
		}
		if best < 0 {
			return append(dst, src[at:]...)
		}
		dst = append(append(dst, src[at:next[best]]...), Mask...)
		at = next[best] + len(patterns[best])
	}
}

func BenchmarkMask(b *testing.B) {
	text := logLines(1 << 20)
	hit := slices.Clone(text)
	for i := 0; i+100 < len(hit); i += 1000 {
		copy(hit[i:], fiveSecrets[0])
	}
	const chunk = 64 << 10
	for _, c := range []struct {
		name    string
		text    []byte
		secrets []string
	}{
		{"none", text, nil},
		{"five", text, fiveSecrets},
		{"five, found in each kB", hit, fiveSecrets},
		{"five and one of 3 bytes", text, append(slices.Clone(fiveSecrets), "xyz")},
		{"five and one of 1 byte", text, append(slices.Clone(fiveSecrets), "~")},
		{"fifty", text, fifty()},
	} {
		m := masker(c.secrets...)
		patterns := make([][]byte, 0, len(m.patterns))
		for p := range m.patterns {
			patterns = append(patterns, []byte(p))
		}
		out := make([]byte, 0, 2*chunk)
		b.Run("index/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportMetric(float64(len(patterns)), "patterns")
			for b.Loop() {
				for part := range slices.Chunk(c.text, chunk) {
					out = m.Mask(out[:0], part)
				}
			}
		})
		b.Run("bytes.Index/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				for part := range slices.Chunk(c.text, chunk) {
					out = indexEach(out[:0], part, patterns)
				}
			}
		})
	}
}

func fifty() []string {
	var out []string
	for i := range 50 {
		out = append(out, fmt.Sprintf("secret %d: %x", i, uint64(i)*0x9E3779B97F4A7C15))
	}
	return out
}

func BenchmarkAdd(b *testing.B) {
	for b.Loop() {
		m := masker(fiveSecrets...)
		m.Longest()
	}
}
