package action

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner/storage"
)

var cacheInputs = []pipeline.Input{
	required("path"), required("key"), input("restore-keys", ""), input("upload-chunk-size", ""), input("enableCrossOsArchive", "false"),
	input("fail-on-cache-miss", "false"), input("lookup-only", "false"), input("save-always", "false"),
}

// The built-in actions/cache restores when it runs and saves in its post step; its two parts stand for themselves.
var (
	cacheAction = &builtin{inputs: cacheInputs, run: func(ctx context.Context, c *call) (pipeline.Status, error) {
		k, err := c.cacheRequest()
		if err != nil {
			return "", err
		}
		hit, status, err := c.restoreCache(ctx, k)
		if err != nil {
			return status, err
		}
		if k.lookupOnly && hit != "" {
			c.logf("The cache was only looked up; it will not be saved.")
		}
		cond := onSuccess
		if always, _ := c.boolean("save-always"); always {
			c.warnf("save-always is deprecated by the vendor; a step with actions/cache/save and `if: always()` does the same")
			cond = pipeline.Value{}
		}
		c.after(cond, func(ctx context.Context, c *call) (pipeline.Status, error) {
			if strings.EqualFold(hit, k.key) {
				c.logf("Cache hit on the primary key %s, not saving.", k.key)
				return pipeline.Success, nil
			}
			c.saveCache(ctx, k)
			return pipeline.Success, nil
		})
		return status, nil
	}}
	cacheRestoreAction = &builtin{inputs: cacheInputs, run: func(ctx context.Context, c *call) (pipeline.Status, error) {
		k, err := c.cacheRequest()
		if err != nil {
			return "", err
		}
		_, status, err := c.restoreCache(ctx, k)
		return status, err
	}}
	cacheSaveAction = &builtin{inputs: []pipeline.Input{
		required("path"), required("key"), input("upload-chunk-size", ""), input("enableCrossOsArchive", "false"),
	}, run: func(ctx context.Context, c *call) (pipeline.Status, error) {
		k, err := c.cacheRequest()
		if err != nil {
			return "", err
		}
		c.saveCache(ctx, k)
		return pipeline.Success, nil
	}}
)

// cacheRequest is what the inputs ask for.
type cacheRequest struct {
	scope, key          string
	keys, paths         []string
	failOnMiss, crossOS bool
	lookupOnly          bool
}

func (c *call) cacheRequest() (cacheRequest, error) {
	k := cacheRequest{key: c.text("key"), paths: c.lines("path"), scope: c.step.Scope().Run.Repository.FullName()}
	if c.o.Caches == nil {
		return k, errors.New("this run keeps no caches")
	}
	if k.scope == "" {
		k.scope = "repository"
	}
	if len(k.paths) == 0 {
		return k, errors.New("input \"path\" is required and empty")
	}
	k.keys = append([]string{k.key}, c.lines("restore-keys")...)
	for _, key := range k.keys {
		if err := storage.CheckKey(key); err != nil {
			return k, err
		}
	}
	if len(k.keys) > storage.MaxKeys {
		return k, fmt.Errorf("%d keys are given; at most %d are allowed", len(k.keys), storage.MaxKeys)
	}
	// The size of an upload's chunks has no meaning where nothing is uploaded; a number it must be nevertheless.
	if _, err := c.number("upload-chunk-size", 0); err != nil {
		return k, err
	}
	return k, c.booleans(map[string]*bool{"fail-on-cache-miss": &k.failOnMiss, "lookup-only": &k.lookupOnly, "enableCrossOsArchive": &k.crossOS})
}

// restoreCache restores an entry, or only looks for it, and returns its key; empty: none.
func (c *call) restoreCache(ctx context.Context, k cacheRequest) (hit string, status pipeline.Status, err error) {
	c.output("cache-primary-key", k.key)
	e, ok, err := c.o.Caches.LookupFor(k.scope, k.keys, k.paths)
	if err != nil {
		return "", "", err
	}
	if ok && !k.lookupOnly {
		if err := c.o.Caches.RestoreTo(ctx, c.ws(), e); err != nil {
			if ctx.Err() != nil {
				return "", "", err
			}
			// A cache makes a job faster, nothing else depends on it.
			c.warnf("%v", err)
			ok = false
		}
	}
	if !ok {
		if k.failOnMiss {
			return "", "", fmt.Errorf("no cache was found for %s, and fail-on-cache-miss is set", strings.Join(k.keys, ", "))
		}
		c.logf("Cache not found for input keys: %s", strings.Join(k.keys, ", "))
		return "", pipeline.Success, nil
	}
	exact := strings.EqualFold(e.Key, k.key)
	c.output("cache-hit", fmt.Sprint(exact))
	c.output("cache-matched-key", e.Key)
	if k.lookupOnly {
		c.logf("Cache found and can be restored from key: %s", e.Key)
	} else {
		c.logf("Cache restored from key: %s (%s)", e.Key, size(e.Size))
	}
	return e.Key, pipeline.Success, nil
}

// saveCache saves an entry. What goes wrong is a warning, as the vendor has it: the job's own work is done.
func (c *call) saveCache(ctx context.Context, k cacheRequest) {
	e, err := c.o.Caches.SaveFrom(ctx, c.ws(), k.scope, k.key, k.paths)
	switch {
	case errors.Is(err, storage.ErrCacheExists):
		c.logf("A cache with the key %s exists already, not saving.", k.key)
	case errors.Is(err, storage.ErrNoFiles):
		c.warnf("nothing matches %s: no cache is saved", strings.Join(k.paths, ", "))
	case err != nil:
		c.warnf("%v", err)
	default:
		c.logf("Cache saved with key: %s (%s)", k.key, size(e.Size))
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	div, exp := int64(unit), 0
	for m := n / unit; m >= unit; m /= unit {
		div *= unit
		exp++
	}
	return fmt.Sprintf("%.1f %ciB", float64(n)/float64(div), "KMGTPE"[exp])
}
