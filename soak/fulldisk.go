package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// diskSize is that of the disk that becomes full, in MiB.
const diskSize = 160

// fullDisk fills the disk of a server while runs go on. What was acknowledged is there in the end, what was not was refused with a
// reason, and once there is room again the server goes on by itself.
func fullDisk(ctx context.Context, o options, dir string) (_ string, err error) {
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", diskSize), "gantry-soak", disk).CombinedOutput(); err != nil {
		return "", skipped("a small disk cannot be made here: " + strings.TrimSpace(string(out)))
	}
	defer func() {
		if out, e := exec.Command("umount", disk).CombinedOutput(); e != nil && err == nil {
			err = fmt.Errorf("%w: %s", e, out)
		}
	}()
	o.db, o.servers, o.place = "", 1, disk
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	s := w.servers[0]
	if err := w.mustAsk(ctx, 2); err != nil {
		return "", err
	}
	filler := filepath.Join(disk, "filler")
	if err := fill(filler); err != nil {
		return "", err
	}
	refused := 0
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		w.asked++
		_, err := w.post(ctx, s.address, w.asked)
		var answer *apiError
		switch {
		case err == nil:
		case !errors.As(err, &answer):
			return "", fmt.Errorf("a run was asked for on a full disk, and there was no answer: %w", err)
		case answer.Status < 500 || !strings.Contains(answer.Body, `"detail"`):
			return "", fmt.Errorf("a run was refused on a full disk without a reason: %w", answer)
		default:
			refused++
		}
		if !s.alive() {
			return "", fmt.Errorf("the server has ended on a full disk: %s", s.tail())
		}
		// What jobs leave is no room for others.
		if err := fill(filler); err != nil {
			return "", err
		}
	}
	if refused == 0 {
		return "", errors.New("the disk was full, and nothing was refused: it was not full enough to try anything")
	}
	if err := os.Remove(filler); err != nil {
		return "", err
	}
	if err := until(ctx, 30*time.Second, "readiness after there was room again", func() bool { return s.readiness(ctx) == http.StatusOK }); err != nil {
		return "", err
	}
	before := len(w.acknowledged)
	if err := w.mustAsk(ctx, 2); err != nil {
		return "", fmt.Errorf("there is room again, and a run is not taken: %w", err)
	}
	rows, err := w.wait(ctx)
	if err != nil {
		return "", err
	}
	failed := 0
	for i, id := range w.acknowledged {
		r, ok := rows[id]
		switch {
		case !ok:
			return "", fmt.Errorf("the run %s was acknowledged and is not there", id)
		case r.Status == "success":
		case i >= before:
			return "", fmt.Errorf("the run %s was asked for when there was room again, and ended with %s: %s", id, r.Status, r.Reason)
		case r.Reason == "":
			return "", fmt.Errorf("the run %s ended with %s on a full disk, and does not say why", id, r.Status)
		default:
			failed++
		}
	}
	return fmt.Sprintf("%d runs were refused with a reason, %d acknowledged ones are all there, %d of them failed for want of room, and it went on without a restart", refused, len(w.acknowledged), failed), nil
}

// fill writes to a file until there is no room left.
func fill(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		return err
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 64 << 10, 4 << 10} {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}
