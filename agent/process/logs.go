package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// LogLimits bound what is kept of what instances print. A field that is 0 has its default.
type LogLimits struct {
	// Size of a file in bytes until the next is begun, and how many Files an instance has. Defaults 8 MiB and 5.
	Size  int64
	Files int
	// Line is the most bytes of a line; what is beyond is left out. Default 16 KiB, at most 48 KiB.
	Line int
	// Rate in bytes per second that an instance's log may grow for long, with Burst bytes at once. Lines beyond are counted and left
	// out. Defaults 1 MiB/s and 8 MiB.
	Rate, Burst int64
}

// maxLine leaves room in a line's buffer for what is looked at, but not kept: see lines.
const maxLine = 48 << 10

func (l LogLimits) withDefaults() LogLimits {
	if l.Size <= 0 {
		l.Size = 8 << 20
	}
	if l.Files <= 0 {
		l.Files = 5
	}
	if l.Line <= 0 {
		l.Line = 16 << 10
	}
	l.Line = min(l.Line, maxLine)
	if l.Rate <= 0 {
		l.Rate = 1 << 20
	}
	if l.Burst <= 0 {
		l.Burst = 8 << 20
	}
	return l
}

// Streams of a log.
const (
	Stdout = "out"
	Stderr = "err"
	// Agent: what the supervisor has to say of the instance.
	Agent = "sys"
)

// Line of a log.
type Line struct {
	// Time at which it was read.
	Time time.Time `json:"time"`
	// Stream is [Stdout], [Stderr] or [Agent].
	Stream string `json:"stream"`
	// Text without its line end; any bytes.
	Text []byte `json:"text"`
}

// timeForm has a fixed width, so that a line is parsed by position.
const timeForm = "2006-01-02T15:04:05.000000000Z"

// appendLine adds a line as it is in a file: TIME STREAM TEXT.
func appendLine(b []byte, l Line) []byte {
	b = l.Time.UTC().AppendFormat(b, timeForm)
	b = append(b, ' ')
	b = append(b, l.Stream...)
	b = append(b, ' ')
	b = append(b, l.Text...)
	return append(b, '\n')
}

// parseLine is the opposite, without the line end; ok is false for what no log has written.
func parseLine(b []byte) (l Line, ok bool) {
	const head = len(timeForm) + len(" out ")
	if len(b) < head || b[len(timeForm)] != ' ' || b[head-1] != ' ' {
		return Line{}, false
	}
	at, err := time.Parse(timeForm, string(b[:len(timeForm)]))
	if err != nil {
		return Line{}, false
	}
	l = Line{Time: at, Stream: string(b[len(timeForm)+1 : head-1]), Text: bytes.Clone(b[head:])}
	return l, l.Stream == Stdout || l.Stream == Stderr || l.Stream == Agent
}

// logs are the log files of an instance: DIR/NUMBER.log, the highest being written.
type logs struct {
	dir    string
	limits LogLimits
	masker Masker

	mu      sync.Mutex
	file    *os.File
	number  int64
	size    int64
	closed  bool
	changed chan struct{} // closed and replaced with each write
	buf     []byte
	said    said

	// A bucket of bytes that the instance may still write, and what was left out since it was empty.
	tokens       float64
	filled       time.Time
	left         int64 // lines
	leftBytes    int64
	lastLeftTold time.Time
}

// openLogs opens the newest file of a folder, which is made.
func openLogs(dir string, limits LogLimits, masker Masker) (*logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := &logs{dir: dir, limits: limits, masker: masker, changed: make(chan struct{}), tokens: float64(limits.Burst), filled: time.Now()}
	numbers, err := l.numbers()
	if err != nil {
		return nil, err
	}
	number := int64(1)
	if len(numbers) > 0 {
		number = numbers[len(numbers)-1]
	}
	if err := l.open(number); err != nil {
		return nil, err
	}
	return l, nil
}

// numbers of the files that there are, in their order.
func (l *logs) numbers() (numbers []int64, err error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if n, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".log"), 10, 64); err == nil && e.Name() == logName(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func logName(number int64) string { return fmt.Sprintf("%010d.log", number) }

func (l *logs) path(number int64) string { return filepath.Join(l.dir, logName(number)) }

func (l *logs) open(number int64) error {
	f, err := os.OpenFile(l.path(number), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.number, l.size = f, number, info.Size()
	// An agent that died may have left half a line.
	last := make([]byte, 1)
	if l.size > 0 {
		if _, err := f.ReadAt(last, l.size-1); err == nil && last[0] != '\n' {
			if n, err := f.Write([]byte{'\n'}); err == nil {
				l.size += int64(n)
			}
		}
	}
	return nil
}

// note adds a line of the supervisor's own, whatever the rate.
func (l *logs) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellLeft()
	text := l.mask(fmt.Appendf(nil, format, args...))
	l.write(Line{Time: time.Now(), Stream: Agent, Text: bytes.ReplaceAll(text, []byte{'\n'}, []byte{' '})})
}

// add adds a line that an instance has printed, unless it prints too much. beyond is how many bytes of it are not in text.
func (l *logs) add(stream string, text []byte, beyond int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.tokens += now.Sub(l.filled).Seconds() * float64(l.limits.Rate); l.tokens > float64(l.limits.Burst) {
		l.tokens = float64(l.limits.Burst)
	}
	l.filled = now
	if l.tokens < float64(len(text)+1) {
		l.left++
		l.leftBytes += int64(len(text)) + beyond
		return
	}
	l.tellLeft()
	l.tokens -= float64(len(text) + len(timeForm) + 6)
	text = l.mask(text)
	if len(text) > l.limits.Line {
		beyond += int64(len(text) - l.limits.Line)
		text = text[:l.limits.Line]
	}
	if beyond > 0 {
		text = fmt.Appendf(bytes.Clone(text), " [%d more bytes left out]", beyond)
	}
	l.said.hear(stream, text)
	l.write(Line{Time: now, Stream: stream, Text: text})
}

// quote returns what a process said of its end, or nothing. It forgets it: the next process says its own.
func (l *logs) quote() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.said.forget()
	return l.said.text()
}

func (l *logs) mask(text []byte) []byte {
	if l.masker == nil {
		return text
	}
	return l.masker.Mask(text)
}

// tellLeft says how much was left out. l.mu is held.
func (l *logs) tellLeft() {
	if l.left == 0 {
		return
	}
	text := fmt.Appendf(nil, "%d lines (%d bytes) were left out: more than %d bytes per second", l.left, l.leftBytes, l.limits.Rate)
	l.left, l.leftBytes = 0, 0
	l.write(Line{Time: time.Now(), Stream: Agent, Text: text})
}

// write adds a line to the file. What cannot be written is lost: the disk's trouble must not become the workload's. l.mu is held.
func (l *logs) write(line Line) {
	if l.closed {
		return
	}
	l.buf = appendLine(l.buf[:0], line)
	if l.size > 0 && l.size+int64(len(l.buf)) > l.limits.Size {
		l.rotate()
	}
	n, _ := l.file.Write(l.buf)
	l.size += int64(n)
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *logs) rotate() {
	old := l.file
	if err := l.open(l.number + 1); err != nil {
		return // go on in the old one
	}
	old.Close()
	numbers, err := l.numbers()
	if err != nil {
		return
	}
	for _, n := range numbers[:max(0, len(numbers)-l.limits.Files)] {
		os.Remove(l.path(n))
	}
}

// close ends writing; who follows gets what there is and then the end.
func (l *logs) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.tellLeft()
	l.closed = true
	close(l.changed)
	if err := l.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
