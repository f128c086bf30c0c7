package action

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner/storage"
)

// moduleCache keeps what a package manager has downloaded between jobs, by the hash of the lock files.
type moduleCache struct {
	// prefix is what the key begins with.
	prefix string
	// lockFiles are the names to look for where the step names none.
	lockFiles []string
	// paths are the folders to keep.
	paths []string
}

// restore restores the folders and saves them after the job. Where the home folder is the machine's own, they are there
// already and stay: nothing is to be done. It sets the output cache-hit.
func (m moduleCache) restore(ctx context.Context, c *call) error {
	if c.ws().Container() == nil {
		c.logf("%s stay on this machine between runs: they need no other cache.", strings.Join(m.paths, ", "))
		c.output("cache-hit", "false")
		return nil
	}
	if c.o.Caches == nil {
		return nil
	}
	hash, err := m.hash(ctx, c)
	if err != nil {
		c.warnf("restore the cache: %v", err)
		return nil
	}
	machine := c.ws().Machine()
	k := cacheRequest{scope: c.step.Scope().Run.Repository.FullName(), paths: m.paths}
	if k.scope == "" {
		k.scope = "repository"
	}
	k.key = fmt.Sprintf("%s-%s-%s-%s", m.prefix, machine.OS, machine.Arch, hash)
	k.keys = []string{k.key}
	e, ok, err := c.o.Caches.LookupFor(k.scope, k.keys, k.paths)
	if err == nil && ok {
		err = c.o.Caches.RestoreTo(ctx, c.ws(), e)
	}
	if err != nil {
		c.warnf("restore the cache: %v", err)
	}
	hit := ok && err == nil
	c.output("cache-hit", fmt.Sprint(hit))
	if hit {
		c.logf("Cache restored from key: %s (%s)", e.Key, size(e.Size))
		return nil
	}
	c.logf("Cache not found for key: %s", k.key)
	c.after(onSuccess, func(ctx context.Context, c *call) (pipeline.Status, error) {
		c.saveCache(ctx, k)
		return pipeline.Success, nil
	})
	return nil
}

// hash returns the hash of the lock files.
func (m moduleCache) hash(ctx context.Context, c *call) (string, error) {
	ws := c.ws()
	patterns := c.lines("cache-dependency-path")
	var files []string
	if len(patterns) == 0 {
		for _, name := range m.lockFiles {
			if b, err := ws.ReadFile(ctx, path.Join(ws.Machine().Workspace, name), maxLockFile); err == nil {
				sum := sha256.Sum256(b)
				return hex.EncodeToString(sum[:]), nil
			}
		}
		return "", fmt.Errorf("none of %s is in the work folder; cache-dependency-path can name another place", strings.Join(m.lockFiles, ", "))
	}
	work, ok := ws.HostPath(ws.Machine().Workspace)
	if !ok {
		for _, p := range patterns {
			files = append(files, c.glob(ctx, c.path(p))...)
		}
	} else {
		p, err := storage.ParsePatterns(patterns, work, "", false)
		if err != nil {
			return "", err
		}
		found, err := p.Find(ctx, storage.FindOptions{Hidden: true})
		if err != nil {
			return "", err
		}
		for _, f := range found {
			files = append(files, f.Host)
		}
	}
	slices.Sort(files)
	h := sha256.New()
	for _, f := range files {
		var b []byte
		var err error
		if ok {
			b, err = os.ReadFile(f)
		} else {
			b, err = ws.ReadFile(ctx, f, maxLockFile)
		}
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(b)
		h.Write(sum[:])
	}
	if len(files) == 0 {
		return "", fmt.Errorf("no file matches cache-dependency-path %s", strings.Join(patterns, ", "))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

const maxLockFile = 64 << 20
