package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func logsIn(t *testing.T, dir string, limits LogLimits) *logs {
	t.Helper()
	l, err := openLogs(dir, limits.withDefaults(), hunter{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close() })
	return l
}

func texts(t *testing.T, l *logs, last int) (all []string) {
	t.Helper()
	for line, err := range l.read(t.Context(), LogOptions{Last: last}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line.Stream+" "+string(line.Text))
	}
	return all
}

func TestLogsRotate(t *testing.T) {
	dir := t.TempDir()
	l := logsIn(t, dir, LogLimits{Size: 1000, Files: 3})
	for n := range 100 {
		l.add(Stdout, fmt.Appendf(nil, "line %d", n), 0)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 3 {
		t.Fatalf("files %v, %v", names, err)
	}
	for _, n := range names {
		if info, err := n.Info(); err != nil || info.Size() > 1000 {
			t.Errorf("%s has %d bytes, %v", n.Name(), info.Size(), err)
		}
	}
	all := texts(t, l, -1)
	if len(all) == 0 || all[len(all)-1] != "out line 99" || all[0] != fmt.Sprintf("out line %d", 100-len(all)) {
		t.Errorf("lines %q", all)
	}
	for _, n := range []int{0, 1, 2, 10, len(all) - 1, len(all), len(all) + 10} {
		want := all[max(0, len(all)-n):]
		if got := texts(t, l, n); !slices.Equal(got, want) {
			t.Errorf("the last %d: %q, want %q", n, got, want)
		}
	}
	l.close()
	// Another agent goes on; half a line of the one before is its own.
	file := filepath.Join(dir, names[2].Name())
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "2026-01-02T03:04:05.000000000Z out ha")
	f.Close()
	l = logsIn(t, dir, LogLimits{Size: 1000, Files: 3})
	l.add(Stderr, []byte("again"), 0)
	if got, want := texts(t, l, 2), []string{"out ha", "err again"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestLogsAnyBytes(t *testing.T) {
	l := logsIn(t, t.TempDir(), LogLimits{Line: 20})
	in := lines{keep: 20, add: func(text []byte, beyond int64) { l.add(Stdout, text, beyond) }}
	in.write([]byte("a\x00b\xff\r\n\nno "))
	in.write([]byte("end, but a hunter2\n"))
	in.write([]byte("123456789 hunter2 123456789\n")) // the secret is before the cut, and hidden with it
	in.write([]byte("123456789 123456 hunter2\n"))    // the secret is in the cut
	in.write(bytes.Repeat([]byte("x"), 100_000))
	in.write([]byte("\nlast"))
	in.flush()
	in.flush()
	got := texts(t, l, -1)
	want := []string{
		"out a\x00b\xff\r", "out ", "out no end, but a ***", "out 123456789 *** 123456 [3 more bytes left out]",
		"out 123456789 123456 ***", "out " + strings.Repeat("x", 20) + " [99980 more bytes left out]", "out last",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLogsFlood(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, err := openLogs(dir, LogLimits{Rate: 1000, Burst: 2000}.withDefaults(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer l.close()
		text := bytes.Repeat([]byte("f"), 64) // 100 bytes with its time
		for range 50 {
			l.add(Stdout, text, 0)
		}
		if got := len(texts(t, l, -1)); got != 20 {
			t.Errorf("%d lines at once", got)
		}
		<-time.After(500 * time.Millisecond)
		for range 50 {
			l.add(Stdout, text, 0)
		}
		l.note("the end")
		got := texts(t, l, 8)
		if len(got) != 8 || got[0] != "sys 30 lines (1920 bytes) were left out: more than 1000 bytes per second" ||
			got[6] != "sys 45 lines (2880 bytes) were left out: more than 1000 bytes per second" || got[7] != "sys the end" {
			t.Errorf("got %q", got)
		}
	})
}

func TestFollow(t *testing.T) {
	l := logsIn(t, t.TempDir(), LogLimits{Size: 500, Files: 2})
	l.add(Stdout, []byte("old"), 0)
	l.add(Stdout, []byte("line 0"), 0)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	n := 0
	for line, err := range l.read(ctx, LogOptions{Last: 1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("line %d", n); string(line.Text) != want || line.Stream != Stdout || line.Time.IsZero() {
			t.Fatalf("got %+v, want %s", line, want)
		}
		if n++; n == 100 {
			l.close()
		}
		l.add(Stdout, fmt.Appendf(nil, "line %d", n), 0)
	}
	if n != 100 {
		t.Errorf("%d lines", n)
	}
}

func TestFollowTooSlow(t *testing.T) {
	l := logsIn(t, t.TempDir(), LogLimits{Size: 500, Files: 2})
	l.add(Stdout, []byte("first"), 0)
	var got []string
	for line, err := range l.read(t.Context(), LogOptions{Last: -1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, string(line.Text)); len(got) == 1 {
			for n := range 200 {
				l.add(Stdout, fmt.Appendf(nil, "line %d", n), 0)
			}
			l.close()
		}
	}
	if len(got) < 3 || !slices.Contains(got, "lines were left out: the log was rotated faster than it was read") || got[len(got)-1] != "line 199" {
		t.Errorf("got %q", got)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte("2026-01-02T03:04:05.000000000Z out text"))
	f.Add([]byte("2026-01-02T03:04:05.000000000Z sys "))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, ok := parseLine(b)
		if !ok {
			return
		}
		again, ok := parseLine(bytes.TrimSuffix(appendLine(nil, l), []byte{'\n'}))
		if !ok || !again.Time.Equal(l.Time) || again.Stream != l.Stream || !bytes.Equal(again.Text, l.Text) {
			t.Fatalf("%q became %+v and then %+v", b, l, again)
		}
	})
}

// FuzzLines cuts the same stream at other places and wants the same lines, with no byte lost.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), uint8(2))
	f.Add(bytes.Repeat([]byte("x"), 20_000), uint8(255))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		type line struct {
			text   string
			beyond int64
		}
		cut := func(size int) (all []line) {
			l := lines{keep: 10, add: func(text []byte, beyond int64) { all = append(all, line{string(text), beyond}) }}
			for chunk := range slices.Chunk(stream, max(1, size)) {
				l.write(chunk)
			}
			l.flush()
			return all
		}
		whole, pieces := cut(len(stream)), cut(int(size))
		var total int
		for _, l := range pieces {
			total += len(l.text) + int(l.beyond)
		}
		if want := len(stream) - bytes.Count(stream, []byte{'\n'}); total != want {
			t.Fatalf("%d bytes of %d", total, want)
		}
		if !slices.Equal(whole, pieces) {
			t.Fatalf("%q by %d: %v, want %v", stream, size, pieces, whole)
		}
	})
}
