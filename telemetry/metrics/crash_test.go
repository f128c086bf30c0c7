package metrics

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// writeUntilKilled is the other process of TestKill: it appends one sample after the other, and says which are kept.
func writeUntilKilled(dir string) {
	s, err := Open(Options{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	begin, err := strconv.ParseInt(os.Getenv("METRICS_TEST_BEGIN"), 10, 64)
	if err != nil {
		panic(err)
	}
	ls := map[string]string{"__name__": "written"}
	for i := begin; ; i++ {
		if err := s.Append(context.Background(), Sample{Labels: ls, Point: Point{time.UnixMilli(i), float64(i)}}); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

// killedWriter runs a writer, kills it once it has said that some samples are kept, and returns the last of them.
func killedWriter(t *testing.T, dir string, begin int64, enough int) int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "METRICS_TEST_WRITER="+dir, "METRICS_TEST_BEGIN="+strconv.FormatInt(begin, 10))
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last int64
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if n == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
		if i, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
			last = i
		} else if strings.HasPrefix(lines.Text(), "error") {
			t.Error(lines.Text())
		}
	}
	_ = cmd.Wait() // It was killed.
	return last
}

// TestKill kills writers at no particular moment, and finds everything that they said was kept.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	begin := time.Now().Add(-5 * time.Minute).UnixMilli()
	next := begin
	for round := range 3 {
		last := killedWriter(t, dir, next, 20+200*round)
		if last < next {
			t.Fatal("the writer kept nothing")
		}
		s := opened(t, func(o *Options) { o.Dir = dir })
		r, err := s.Query(t.Context(), "written[10m]", time.UnixMilli(last))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Series) != 1 || len(r.Series[0].Points) != int(last-begin)+1 {
			t.Fatalf("round %d: of %d samples there are %d", round, last-begin+1, len(r.Series[0].Points))
		}
		for i, p := range r.Series[0].Points {
			if p.Value != float64(begin+int64(i)) {
				t.Fatalf("round %d: sample %d is %v", round, i, p)
			}
		}
		// What was being written when it was killed may be there or not.
		next = s.Stats().Newest.UnixMilli() + 1
		for missing := last + 1; missing < next; missing++ {
			if got, ok := value(t, s, "written", time.UnixMilli(missing)); !ok || got != float64(missing) {
				t.Errorf("round %d: half a sample: %v", round, got)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamage damages the end of the write-ahead log as a failing machine does, and loses the end only.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"cut off":   func(b []byte) []byte { return b[:len(b)-7] },
		"garbage":   func(b []byte) []byte { return append(b, bytes.Repeat([]byte("garbage!"), 100)...) },
		"bits lost": func(b []byte) []byte { b[len(b)-20] ^= 0xff; return b },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			at := start()
			killed := killedWriter(t, dir, at.UnixMilli(), 50)
			segments, err := filepath.Glob(filepath.Join(dir, "wal", "0*"))
			if err != nil || len(segments) == 0 {
				t.Fatal("no write-ahead log", err)
			}
			segment := segments[len(segments)-1]
			text, err := os.ReadFile(segment)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(segment, damage(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s := opened(t, func(o *Options) { o.Dir, o.Log = dir, slog.New(slog.NewTextHandler(&log, nil)) })
			r, err := s.Query(t.Context(), "written[10m]", time.UnixMilli(killed))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Series) != 1 || len(r.Series[0].Points) < 40 {
				t.Fatalf("of the samples before the damage there are %+v", r)
			}
			kept(t, s, sample(time.Now(), 1, "__name__", "after"))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if !strings.Contains(log.String(), "WAL") || !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("the log does not say it:\n%s", log.String())
			}
		})
	}
}

// TestInUse opens a directory twice.
func TestInUse(t *testing.T) {
	s := opened(t)
	if second, err := Open(Options{Dir: s.opts.Dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v, %v", second, err)
	}
	kept(t, s, sample(time.Now(), 1, "__name__", "still"))
}
