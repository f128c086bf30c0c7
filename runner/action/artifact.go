package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner/storage"
)

// uploadAction stands for actions/upload-artifact.
var uploadAction = &builtin{
	inputs: []pipeline.Input{
		input("name", "artifact"), required("path"), input("if-no-files-found", "warn"), input("retention-days", ""),
		input("compression-level", "6"), input("overwrite", "false"), input("include-hidden-files", "false"), input("archive", "true"),
	},
	run: runUpload,
}

var errNoArtifacts = errors.New("this run keeps no artifacts")

func runUpload(ctx context.Context, c *call) (pipeline.Status, error) {
	if c.o.Artifacts == nil {
		return "", errNoArtifacts
	}
	paths := c.lines("path")
	if len(paths) == 0 {
		return "", errors.New("input \"path\" is required and empty")
	}
	missing := c.text("if-no-files-found")
	switch missing {
	case "warn", "error", "ignore":
	case "":
		missing = "warn"
	default:
		return "", fmt.Errorf("input \"if-no-files-found\" is %q; it must be warn, error or ignore", missing)
	}
	o, err := c.artifactOptions()
	if err != nil {
		return "", err
	}
	var archive bool
	if err := c.booleans(map[string]*bool{"overwrite": &o.Overwrite, "include-hidden-files": &o.Hidden, "archive": &archive}); err != nil {
		return "", err
	}
	o.Unpacked = !archive
	a, err := c.o.Artifacts.Upload(ctx, c.ws(), c.run(), c.name("name", "artifact"), paths, o)
	if errors.Is(err, storage.ErrNoFiles) {
		message := fmt.Sprintf("no files were found with the path %s: no artifact is stored", strings.Join(paths, ", "))
		switch missing {
		case "error":
			return "", errors.New(message)
		case "warn":
			c.warnf("%s", message)
		default:
			c.logf("%s", message)
		}
		return pipeline.Success, nil
	}
	if errors.Is(err, storage.ErrArtifactExists) {
		return "", fmt.Errorf("%w; give it another name, or set overwrite: true", err)
	}
	if err != nil {
		return "", err
	}
	c.stored(a)
	return pipeline.Success, nil
}

func (c *call) run() string { return c.step.Scope().Run.ID }

func (c *call) name(input, def string) string {
	if n := c.text(input); n != "" {
		return n
	}
	return def
}

// artifactOptions reads the inputs that storing artifacts have in common.
func (c *call) artifactOptions() (storage.UploadOptions, error) {
	var o storage.UploadOptions
	o.Job = c.job.ID()
	days, err := c.number("retention-days", 0)
	if err != nil {
		return o, err
	}
	if longest := int(storage.MaxRetention / (24 * time.Hour)); days > longest {
		c.warnf("retention-days is %d; %d is the most", days, longest)
		days = longest
	}
	o.Retention = time.Duration(days) * 24 * time.Hour
	if o.Level, err = c.number("compression-level", storage.DefaultLevel); err == nil && o.Level > 9 {
		err = fmt.Errorf("input \"compression-level\" is %d; it must be 0 to 9", o.Level)
	}
	return o, err
}

// stored tells of an artifact and sets the outputs.
func (c *call) stored(a storage.Artifact) {
	c.job.AddArtifact(a.Name)
	c.output("artifact-id", strconv.FormatInt(a.ID, 10))
	c.output("artifact-digest", a.SHA256)
	c.output("artifact-url", "file://"+a.Path())
	c.logf("Artifact %s stored: %s, %s, SHA-256 %s", a.Name, count(a.Files, "file"), size(a.Size), a.SHA256)
}

// mergeAction stands for actions/upload-artifact/merge.
var mergeAction = &builtin{
	inputs: []pipeline.Input{
		input("name", "merged-artifacts"), input("pattern", "*"), input("separate-directories", "false"), input("retention-days", ""),
		input("compression-level", "6"), input("delete-merged", "false"), input("include-hidden-files", "false"),
	},
	run: runMerge,
}

func runMerge(ctx context.Context, c *call) (pipeline.Status, error) {
	if c.o.Artifacts == nil {
		return "", errNoArtifacts
	}
	o, err := c.artifactOptions()
	if err != nil {
		return "", err
	}
	var separate, remove bool
	if err := c.booleans(map[string]*bool{"separate-directories": &separate, "delete-merged": &remove, "include-hidden-files": &o.Hidden}); err != nil {
		return "", err
	}
	pattern, name := c.name("pattern", "*"), c.name("name", "merged-artifacts")
	parts, err := c.o.Artifacts.Find(c.run(), pattern)
	if err != nil {
		return "", err
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("no artifact matches %q", pattern)
	}
	a, err := c.o.Artifacts.Merge(ctx, c.run(), name, parts, separate, o)
	if errors.Is(err, storage.ErrArtifactExists) {
		return "", fmt.Errorf("%w; give the merged one another name", err)
	}
	if err != nil {
		return "", err
	}
	c.stored(a)
	if remove {
		for _, p := range parts {
			if err := c.o.Artifacts.Delete(c.run(), p.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("remove artifact %q, which was merged: %w", p.Name, err)
			}
		}
	}
	return pipeline.Success, nil
}

// downloadAction stands for actions/download-artifact.
var downloadAction = &builtin{
	inputs: []pipeline.Input{
		input("name", ""), input("artifact-ids", ""), input("path", ""), input("pattern", ""), input("merge-multiple", "false"),
		input("github-token", ""), input("repository", ""), input("run-id", ""), input("skip-decompress", "false"), input("digest-mismatch", "error"),
	},
	run: runDownload,
}

func runDownload(ctx context.Context, c *call) (pipeline.Status, error) {
	if c.o.Artifacts == nil {
		return "", errNoArtifacts
	}
	var merge, raw bool
	if err := c.booleans(map[string]*bool{"merge-multiple": &merge, "skip-decompress": &raw}); err != nil {
		return "", err
	}
	mismatch := c.name("digest-mismatch", "error")
	switch mismatch {
	case "ignore", "info", "warn", "error":
	default:
		return "", fmt.Errorf("input \"digest-mismatch\" is %q; it must be ignore, info, warn or error", mismatch)
	}
	wanted, single, err := c.wantedArtifacts()
	if err != nil {
		return "", err
	}
	dest := c.path(c.text("path"))
	for _, a := range wanted {
		dir := dest
		if !single && !merge {
			dir = path.Join(dest, a.Name)
		}
		if err := c.download(ctx, a, dir, raw, mismatch); err != nil {
			return "", err
		}
	}
	if !single {
		c.logf("%s downloaded", count(len(wanted), "artifact"))
	}
	c.output("download-path", dest)
	return pipeline.Success, nil
}

// wantedArtifacts returns the artifacts that the inputs name. single: exactly one was asked for, and goes to the path
// itself.
func (c *call) wantedArtifacts() (wanted []storage.Artifact, single bool, err error) {
	scope := c.step.Scope()
	if r := c.text("repository"); r != "" && !strings.EqualFold(r, scope.Run.Repository.FullName()) {
		return nil, false, fmt.Errorf("artifacts of another repository (%s) are not at hand here, only those of this repository's own runs", r)
	}
	run := c.name("run-id", c.run())
	name, ids, pattern := c.text("name"), c.text("artifact-ids"), c.text("pattern")
	switch {
	case name != "" && ids != "":
		return nil, false, errors.New("inputs \"name\" and \"artifact-ids\" cannot be used together")
	case name != "":
		a, err := c.o.Artifacts.Get(run, name)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("artifact %q was not found in run %s; %s", name, run, c.present(run))
		}
		return []storage.Artifact{a}, true, err
	case ids != "":
		wanted, err := c.artifactsByID(run, ids)
		return wanted, len(wanted) == 1, err
	case pattern != "":
		wanted, err = c.o.Artifacts.Find(run, pattern)
	default:
		wanted, err = c.o.Artifacts.List(run)
	}
	return wanted, false, err
}

func (c *call) artifactsByID(run, list string) ([]storage.Artifact, error) {
	all, err := c.o.Artifacts.List(run)
	if err != nil {
		return nil, err
	}
	byID := map[string]storage.Artifact{}
	for _, a := range all {
		byID[strconv.FormatInt(a.ID, 10)] = a
	}
	var out []storage.Artifact
	for _, id := range strings.Split(list, ",") {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		a, ok := byID[id]
		if !ok {
			return nil, fmt.Errorf("no artifact of run %s has the ID %q; %s", run, id, c.present(run))
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, errors.New("input \"artifact-ids\" names no ID")
	}
	return out, nil
}

// present says which artifacts there are.
func (c *call) present(run string) string {
	all, err := c.o.Artifacts.List(run)
	if err != nil || len(all) == 0 {
		return "the run has none so far"
	}
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	return "the run has " + strings.Join(names, ", ")
}

func (c *call) download(ctx context.Context, a storage.Artifact, dir string, raw bool, mismatch string) error {
	if err := a.Verify(); errors.Is(err, storage.ErrDigest) {
		switch mismatch {
		case "error":
			return fmt.Errorf("artifact %q: %w", a.Name, err)
		case "warn":
			c.warnf("artifact %q: %v", a.Name, err)
		case "info":
			c.logf("artifact %q: %v", a.Name, err)
		}
	} else if err != nil {
		return err
	}
	files, err := c.o.Artifacts.Download(ctx, c.ws(), a, dir, raw)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("artifact %q has gone: %w", a.Name, err)
	}
	if err != nil {
		return err
	}
	c.logf("Artifact %s downloaded to %s: %s, %s", a.Name, dir, count(files, "file"), size(a.Size))
	return nil
}

// count writes how many things there are.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
