package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/runner"
)

// builtRepository names the images that are built for steps; their tag is the digest of what they are built from, so that the
// same folder is built once.
const builtRepository = "gantry-action"

// build makes the image of a folder and returns its name.
func (e *Engine) build(ctx context.Context, ws runner.Workspace, folder, dockerfile string, say func(string)) (string, error) {
	host, ok := ws.HostPath(folder)
	if !ok {
		return "", fmt.Errorf("build an image: this machine does not see the folder %s", folder)
	}
	if dockerfile == "" {
		dockerfile = "Dockerfile"
	}
	root, err := os.OpenRoot(host)
	if err != nil {
		return "", fmt.Errorf("build an image: %w", err)
	}
	defer root.Close()
	dockerfile = strings.TrimPrefix(filepath.ToSlash(dockerfile), filepath.ToSlash(folder)+"/")
	b, err := newBuildContext(root.FS(), dockerfile)
	if err != nil {
		return "", fmt.Errorf("build an image of %s: %w", folder, err)
	}
	digest := sha256.New()
	io.WriteString(digest, b.dockerfile+"\x00")
	if err := b.write(ctx, digest); err != nil {
		return "", fmt.Errorf("build an image of %s: %w", folder, err)
	}
	name := builtRepository + ":" + hex.EncodeToString(digest.Sum(nil))
	unlock, err := e.pulls.lock(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := e.api.ImageInspect(ctx, name); err == nil {
		return name, nil
	} else if !errdefs.IsNotFound(err) {
		return "", fmt.Errorf("look for image %q: %w", name, err)
	}
	say("Building an image of " + path.Join(folder, b.dockerfile))
	r, w := io.Pipe()
	go func() { w.CloseWithError(b.write(ctx, w)) }()
	defer r.CloseWithError(errors.New("the engine has stopped reading"))
	got, err := e.api.ImageBuild(ctx, r, client.ImageBuildOptions{Tags: []string{name}, Dockerfile: b.dockerfile, Remove: true, ForceRemove: true, PullParent: e.o.Pull == PullAlways})
	if err != nil {
		return "", fmt.Errorf("build an image of %s: %w", folder, err)
	}
	defer got.Body.Close()
	if err := followBuild(got.Body, say); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("build an image of %s: %w%s", folder, err, pullHint(err))
	}
	return name, nil
}

// followBuild shows what a build prints.
func followBuild(from io.Reader, say func(string)) error {
	d := json.NewDecoder(from)
	for {
		var m jsonstream.Message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what the build prints: %w", err)
		}
		if m.Error != nil {
			return errors.New(strings.TrimSpace(m.Error.Message))
		}
		for line := range strings.Lines(m.Stream) {
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				say(line)
			}
		}
	}
}

// buildContext is what the engine gets to build from: a folder without what .dockerignore leaves out.
type buildContext struct {
	src        fs.FS
	dockerfile string
	ignore     ignoreList
}

func newBuildContext(src fs.FS, dockerfile string) (*buildContext, error) {
	b := &buildContext{src: src, dockerfile: path.Clean(dockerfile)}
	if _, err := fs.Stat(src, b.dockerfile); err != nil {
		return nil, err
	}
	// A list of the Dockerfile's own comes before that of the folder.
	for _, name := range []string{b.dockerfile + ".dockerignore", ".dockerignore"} {
		data, err := fs.ReadFile(src, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b.ignore, err = parseIgnore(string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		break
	}
	return b, nil
}

// write writes the archive; the same files give the same bytes.
func (b *buildContext) write(ctx context.Context, to io.Writer) error {
	t := tar.NewWriter(to)
	// outer are excluded folders on the way to the present path, written only when something in them is.
	type entry struct {
		path string
		info fs.FileInfo
	}
	var outer []entry
	err := walkTree(ctx, b.src, ".", func(p string, info fs.FileInfo) error {
		if p == "." {
			return nil
		}
		for len(outer) > 0 && !strings.HasPrefix(p, outer[len(outer)-1].path+"/") {
			outer = outer[:len(outer)-1]
		}
		// The engine needs these two in any case.
		if p != b.dockerfile && p != ".dockerignore" && b.ignore.excludes(p) {
			switch {
			case !info.IsDir():
				return nil
			case !b.ignore.mayReturn(p) && !strings.HasPrefix(b.dockerfile, p+"/"):
				return fs.SkipDir
			}
			outer = append(outer, entry{p, info})
			return nil
		}
		for _, e := range outer {
			if err := writeEntry(t, b.src, e.path, e.path, e.info); err != nil {
				return err
			}
		}
		outer = nil
		return writeEntry(t, b.src, p, p, info)
	})
	return errors.Join(err, t.Close())
}
