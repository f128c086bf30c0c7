package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// pipeSize is what a pipe holds while nobody reads: the most that the kernel gives to anybody by default (pipe(7), pipe-max-size).
const pipeSize = 1 << 20

// readRate is how fast an instance's output is read at most, in bytes per second: one that floods waits, and leaves the processor to others.
const readRate = 64 << 20

// pipes are the named pipes of an instance. The workload opens them for reading and writing, and so never writes to a pipe that nobody
// reads; the agent does the same, and so never sees their end.
type pipes struct {
	streams []*pipe
}

type pipe struct {
	file  *os.File
	lines lines
	done  chan struct{}

	drains chan chan struct{}
	stop   chan struct{}
	once   sync.Once
}

// pipeNames are the files, by stream.
var pipeNames = map[string]string{Stdout: "out", Stderr: "err"}

func (h *linuxHost) capture(dir string, log *logs) (capture, error) {
	all := &pipes{}
	for _, stream := range []string{Stdout, Stderr} {
		p, err := openPipe(filepath.Join(dir, pipeNames[stream]))
		if err != nil {
			all.close()
			return nil, fmt.Errorf("capture the output: %w", err)
		}
		p.lines = lines{keep: log.limits.Line, add: func(text []byte, beyond int64) { log.add(stream, text, beyond) }}
		all.streams = append(all.streams, p)
		go p.read()
	}
	return all, nil
}

func openPipe(name string) (*pipe, error) {
	if err := unix.Mkfifo(name, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &fs.PathError{Op: "mkfifo", Path: name, Err: err}
	}
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	// Where there are too many pipes of this user's already, it stays smaller.
	unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize)
	return &pipe{file: os.NewFile(uintptr(fd), name), done: make(chan struct{}), drains: make(chan chan struct{}, 1), stop: make(chan struct{})}, nil
}

// read takes what comes until the pipe is closed.
func (p *pipe) read() {
	defer close(p.done)
	buf := make([]byte, 64<<10)
	for {
		start := time.Now()
		n, err := p.file.Read(buf)
		p.lines.write(buf[:n])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.file.SetReadDeadline(time.Time{})
			p.rest(buf)
			select {
			case drained := <-p.drains:
				close(drained)
			default:
			}
		case err != nil:
			p.lines.flush()
			return
		}
		if pause := time.Duration(n)*time.Second/readRate - time.Since(start); n == len(buf) && pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-p.stop:
			}
			timer.Stop()
		}
	}
}

// rest takes what is in the pipe now, without waiting. Nobody writes to it any longer; if somebody does, there is an end to it all the same.
func (p *pipe) rest(buf []byte) {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return
	}
	for left := 2 * pipeSize; left > 0; {
		n := 0
		err := conn.Control(func(fd uintptr) { n, _ = unix.Read(int(fd), buf) })
		if err != nil || n <= 0 {
			break
		}
		p.lines.write(buf[:n])
		left -= n
	}
	p.lines.flush()
}

func (a *pipes) drain() {
	for _, p := range a.streams {
		drained := make(chan struct{})
		select {
		case p.drains <- drained:
		case <-p.done:
			continue
		}
		// Wakes the reader whatever it waits for; the deadline is its request.
		p.file.SetReadDeadline(time.Unix(1, 0))
		select {
		case <-drained:
		case <-p.done:
		}
	}
}

func (a *pipes) close() {
	for _, p := range a.streams {
		p.once.Do(func() { close(p.stop) })
		p.file.Close()
		<-p.done
	}
}

// ends opens the workload's ends of the pipes in a folder.
func ends(dir string) (files []int, err error) {
	for _, stream := range []string{Stdout, Stderr} {
		fd, err := unix.Open(filepath.Join(dir, pipeNames[stream]), unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("open the pipe for its output: %w", err)
		}
		files = append(files, fd)
	}
	return files, nil
}

func closeAll(files []int) {
	for _, fd := range files {
		unix.Close(fd)
	}
}
