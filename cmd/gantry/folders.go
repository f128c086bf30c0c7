package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// cacheDir is where what can be made again is kept: actions, caches, tools.
func cacheDir() (string, error) {
	if dir := os.Getenv("GANTRY_CACHE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w (set GANTRY_CACHE_DIR)", err)
	}
	return filepath.Join(dir, "gantry"), nil
}

// stateDir is where runs leave what cannot be made again, by the XDG base directory specification.
func stateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "gantry"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the state folder: %w (set XDG_STATE_HOME)", err)
	}
	return filepath.Join(home, ".local", "state", "gantry"), nil
}

// nextRunNumber counts the runs of a pipeline, from 1. The count is the length of a file: an append moves the offset to
// its own end, so that whoever appends a byte has a number of its own, also among several processes.
func nextRunNumber(state, repository, file string) (int, error) {
	sum := sha256.Sum256([]byte(repository + "\x00" + file))
	dir := filepath.Join(state, "numbers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("count the run: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, hex.EncodeToString(sum[:8])), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("count the run: %w", err)
	}
	defer f.Close()
	if _, err := f.Write([]byte{'.'}); err != nil {
		return 0, fmt.Errorf("count the run: %w", err)
	}
	n, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, fmt.Errorf("count the run: %w", err)
	}
	return int(n), nil
}

// count gives each run its number.
func (c *chosen) count() error {
	state, err := stateDir()
	if err != nil {
		return err
	}
	for _, s := range c.started {
		if s.run.Number, err = nextRunNumber(state, c.project.dir, s.pipeline.File); err != nil {
			return err
		}
	}
	return nil
}
