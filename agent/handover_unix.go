//go:build unix

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// socketFile is where an agent hears of the one that takes over.
const socketFile = "agent.sock"

const (
	// handOverFor is how long the next agent may take from the listeners on until it serves; then the one before goes on.
	handOverFor = 30 * time.Second
	// mostListeners is how many descriptors a message may carry (SCM_MAX_FD of Linux).
	mostListeners = 253
)

// greeting comes with the listeners' descriptors, in the order of the names.
type greeting struct {
	Listeners []string `json:"listeners"`
}

// TakeOver opens a host whose agent may be alive: that one gives its listeners and workloads, and serves until the new host routes by the same
// table. Then it waits for its connections and ends. Where nobody is there it is Open.
func TakeOver(ctx context.Context, o Options) (*Host, error) {
	conn, err := net.Dial("unix", filepath.Join(o.Dir, socketFile))
	if err != nil {
		return Open(ctx, o)
	}
	c := conn.(*net.UnixConn)
	h, err := takeOver(ctx, o, c)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	// The connection ends when the agent before has ended.
	go func() {
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
		close(h.before)
		h.poke()
	}()
	return h, nil
}

func takeOver(ctx context.Context, o Options, c *net.UnixConn) (*Host, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	files, err := receive(c)
	if err != nil {
		return nil, fmt.Errorf("take over from the agent in %s: %w", o.Dir, err)
	}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	h, err := open(ctx, o, files)
	if err != nil {
		return nil, err
	}
	// Traffic before words: the one before stops accepting when it hears that this one routes.
	h.mu.Lock()
	h.route(h.supervisor.List())
	problem := h.problems["routes"]
	h.mu.Unlock()
	if problem != "" {
		return nil, errors.Join(fmt.Errorf("take over from the agent in %s: %s", o.Dir, problem), h.Close())
	}
	if _, err := io.WriteString(c, "ready\n"); err != nil {
		return nil, errors.Join(fmt.Errorf("take over from the agent in %s: %w", o.Dir, err), h.Close())
	}
	return h, nil
}

// receive reads the greeting and the descriptors.
func receive(c *net.UnixConn) (map[string]*os.File, error) {
	b, oob := make([]byte, 64<<10), make([]byte, syscall.CmsgSpace(4*mostListeners))
	n, oobn, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, err
	}
	var fds []int
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	for _, m := range messages {
		if got, err := syscall.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
	}
	files := map[string]*os.File{}
	var g greeting
	if err == nil {
		err = json.Unmarshal(b[:n], &g)
	}
	if err == nil && len(g.Listeners) != len(fds) {
		err = fmt.Errorf("%d descriptors came for %d listeners", len(fds), len(g.Listeners))
	}
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		name := fmt.Sprint(i)
		if err == nil {
			name = g.Listeners[i]
		}
		files[name] = os.NewFile(uintptr(fd), name)
	}
	if err != nil {
		for _, f := range files {
			_ = f.Close()
		}
		return nil, err
	}
	return files, nil
}

// HandOver runs the host until ctx ends or another agent takes over: then it stops changing anything, gives workloads and listeners to that one, and
// returns [ErrReplaced] when the last of its connections has ended, or [Options.Linger] is over. Where the other one does not come to serve, it goes on itself.
func (h *Host) HandOver(ctx context.Context) error {
	name := filepath.Join(h.o.Dir, socketFile)
	// Who had the folder before is dead or has given it away: its socket is a file without an owner.
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listen for the next agent: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return fmt.Errorf("listen for the next agent: %w", err)
	}
	ln.SetUnlinkOnClose(false) // by then the name may be the next agent's
	ctx, end := context.WithCancel(ctx)
	defer end()
	next := make(chan *net.UnixConn)
	var accepting sync.WaitGroup
	defer accepting.Wait()
	defer ln.Close()
	accepting.Go(func() {
		for {
			c, err := ln.AcceptUnix()
			if err != nil {
				return
			}
			select {
			case next <- c:
			case <-ctx.Done():
				_ = c.Close()
			}
		}
	})
	for {
		run, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- h.Run(run) }()
		var c *net.UnixConn
		select {
		case c = <-next:
		case <-ctx.Done():
		}
		stop()
		<-done
		if c == nil {
			return context.Cause(ctx)
		}
		// Who is being drained from is ended by nobody else.
		h.drains.Wait()
		err := h.give(c)
		if err == nil {
			defer c.Close() // by this the next one knows
			h.mu.Lock()
			h.closed = true
			h.mu.Unlock()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.o.Linger)
			defer cancel()
			return errors.Join(ErrReplaced, h.router.Linger(ctx, h.o.Idle))
		}
		_ = c.Close()
		h.log.Error("another agent wanted to take over and did not come to serve; this one goes on", "error", err)
		s, err := h.supervise(context.WithoutCancel(ctx))
		if err != nil {
			return fmt.Errorf("take the workloads back: %w", err)
		}
		h.mu.Lock()
		h.supervisor = s
		h.mu.Unlock()
	}
}

// give lets go of the workloads, passes the listeners, and waits until the other one serves.
func (h *Host) give(c *net.UnixConn) error {
	if err := c.SetDeadline(time.Now().Add(handOverFor)); err != nil {
		return err
	}
	h.mu.Lock()
	s := h.supervisor
	h.mu.Unlock()
	files, err := h.router.Files()
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if err := s.Close(); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(files))
	if len(names) > mostListeners {
		return fmt.Errorf("there are %d listeners, more than the %d that can be handed over", len(names), mostListeners)
	}
	b, err := json.Marshal(greeting{names})
	if err != nil {
		return err
	}
	var fds []int
	for _, n := range names {
		// Fd would have the listener block, for both agents and beyond its end: the flag belongs to what is shared.
		raw, err := files[n].SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
		}
		if err != nil {
			return err
		}
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	if _, _, err := c.WriteMsgUnix(b, rights, nil); err != nil {
		return err
	}
	answer := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "ready\n" {
		return fmt.Errorf("the next agent said %q, %w", answer, err)
	}
	return nil
}
