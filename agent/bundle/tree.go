package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Kinds of entries.
const (
	kindDir  = "dir"
	kindFile = "file"
	kindLink = "link"
)

// Modes of what is unpacked.
const (
	modeDir  fs.FileMode = 0o555
	modeExec fs.FileMode = 0o555
	modeFile fs.FileMode = 0o444
)

// Entry is one thing of a bundle, as its manifest has it.
type Entry struct {
	// Path is relative to the bundle, with slashes.
	Path string `json:"path"`
	// Kind is "dir", "file" or "link".
	Kind string `json:"kind"`
	// Exec: a file that may be executed.
	Exec bool `json:"exec,omitempty"`
	// Size in bytes and SHA256, in lower-case hexadecimal, of a file.
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Target of a symbolic link, as the archive has it.
	Target string `json:"target,omitempty"`
}

// tree takes the entries of one archive and writes them below a folder. Symbolic links are made last, so that nothing can be written
// through one; until then they are known by name, and nothing may be below them.
type tree struct {
	ctx    context.Context
	root   *os.Root
	limits Limits
	packed int64

	nodes map[string]*Entry
	bytes int64
	// at and name are the entry that is being looked at.
	at   int
	name string
}

func newTree(ctx context.Context, root *os.Root, packed int64, limits Limits) *tree {
	return &tree{ctx: ctx, root: root, limits: limits, packed: packed, nodes: map[string]*Entry{}}
}

// enter begins the next entry.
func (t *tree) enter(name string) error {
	t.at++
	t.name = name
	if err := context.Cause(t.ctx); err != nil {
		return err
	}
	if t.at > t.limits.Entries {
		return t.refuse("more than %d entries", t.limits.Entries)
	}
	return nil
}

func (t *tree) refuse(format string, args ...any) error {
	return &Refused{Entry: t.at, Name: t.name, Reason: fmt.Sprintf(format, args...)}
}

// local returns the entry's name as a clean relative path; "." is the bundle itself.
func (t *tree) local() (string, error) {
	name := t.name
	switch {
	case name == "":
		return "", t.refuse("it has no name")
	case len(name) > maxPath:
		return "", t.refuse("its name has %d bytes; %d is the most", len(name), maxPath)
	case !utf8.ValidString(name):
		return "", t.refuse("its name is not UTF-8")
	case strings.HasPrefix(name, "/"):
		return "", t.refuse("its path is absolute")
	case strings.ContainsRune(name, '\\'):
		return "", t.refuse("its name has a backslash, which is a separator on some systems and a letter on others")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", t.refuse("its name has a control character")
	}
	parts := strings.Split(strings.TrimRight(name, "/"), "/")
	if slices.Contains(parts, "..") {
		return "", t.refuse("its path has a .. in it")
	}
	for _, p := range parts {
		if len(p) > maxComponent {
			return "", t.refuse("a part of its path has %d bytes; %d is the most", len(p), maxComponent)
		}
	}
	if len(parts) > maxDepth {
		return "", t.refuse("it is %d folders deep; %d is the most", len(parts), maxDepth)
	}
	name = path.Clean(name)
	if !filepath.IsLocal(filepath.FromSlash(name)) { // also the device names of Windows, there
		return "", t.refuse("its name means something else than a file on this system")
	}
	return name, nil
}

// parents makes the folders above a path.
func (t *tree) parents(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	if n := t.nodes[dir]; n != nil {
		if n.Kind != kindDir {
			return t.refuse("%q above it is not a folder but a %s", dir, n.Kind)
		}
		return nil
	}
	if err := t.parents(dir); err != nil {
		return err
	}
	return t.mkdir(dir)
}

func (t *tree) mkdir(name string) error {
	if err := t.room(); err != nil {
		return err
	}
	if err := t.root.Mkdir(filepath.FromSlash(name), 0o700); err != nil {
		return t.taken(name, err)
	}
	t.nodes[name] = &Entry{Path: name, Kind: kindDir}
	return nil
}

// room makes sure that there may be one more; the archive's own count does not know of the folders that it implies.
func (t *tree) room() error {
	if len(t.nodes) >= t.limits.Entries {
		return t.refuse("more than %d files, folders and links", t.limits.Entries)
	}
	return nil
}

// taken explains a file that was there already: names that differ to us may be one to the file system.
func (t *tree) taken(name string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return t.refuse("%q is, on this file system, the same as another entry of the archive", name)
	}
	return err
}

// free makes sure that a name is new and returns it.
func (t *tree) free() (string, error) {
	name, err := t.local()
	if err != nil {
		return "", err
	}
	if name == "." {
		return "", t.refuse("it has the bundle's own place")
	}
	if n := t.nodes[name]; n != nil {
		return "", t.refuse("the archive has a %s of this name already", n.Kind)
	}
	if err := t.parents(name); err != nil {
		return "", err
	}
	return name, t.room()
}

// dir takes a folder. That one comes twice changes nothing, and archivers that append do it.
func (t *tree) dir() error {
	name, err := t.local()
	if err != nil || name == "." {
		return err
	}
	if n := t.nodes[name]; n != nil {
		if n.Kind == kindDir {
			return nil
		}
		return t.refuse("the archive has a %s of this name already", n.Kind)
	}
	if err := t.parents(name); err != nil {
		return err
	}
	return t.mkdir(name)
}

// file takes a file whose content is all of r.
func (t *tree) file(r io.Reader, exec bool) (err error) {
	name, err := t.free()
	if err != nil {
		return err
	}
	f, err := t.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return t.taken(name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), &meter{t: t, r: r})
	if err != nil {
		return err
	}
	if err := f.Chmod(modeOf(exec)); err != nil {
		return err
	}
	t.nodes[name] = &Entry{Path: name, Kind: kindFile, Exec: exec, Size: n, SHA256: hex.EncodeToString(hash.Sum(nil))}
	return f.Sync()
}

func modeOf(exec bool) fs.FileMode {
	if exec {
		return modeExec
	}
	return modeFile
}

// hardLink takes a second name of a file that the archive had before.
func (t *tree) hardLink(target string) error {
	name, err := t.free()
	if err != nil {
		return err
	}
	n := t.nodes[path.Clean(target)]
	if n == nil || n.Kind != kindFile {
		return t.refuse("it is a hard link to %q, which is no file that the archive has before it", target)
	}
	if err := t.root.Link(filepath.FromSlash(n.Path), filepath.FromSlash(name)); err != nil {
		return t.taken(name, err)
	}
	second := *n
	second.Path = name
	t.nodes[name] = &second
	return nil
}

// symlink takes a symbolic link. Where it leads is looked at when all entries are known.
func (t *tree) symlink(target string) error {
	name, err := t.free()
	if err != nil {
		return err
	}
	switch {
	case target == "":
		return t.refuse("it is a link to nowhere")
	case len(target) > maxPath, !utf8.ValidString(target), strings.ContainsFunc(target, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return t.refuse("it is a link with a target that no file here can have")
	case path.IsAbs(target), filepath.IsAbs(filepath.FromSlash(target)), filepath.VolumeName(target) != "":
		return t.refuse("it is a link to the absolute path %.200q", target)
	}
	t.nodes[name] = &Entry{Path: name, Kind: kindLink, Target: target}
	return nil
}

// finish makes the links, then makes all read-only and durable. It returns the entries in the order of their paths.
func (t *tree) finish() ([]Entry, error) {
	names := slices.Sorted(maps.Keys(t.nodes))
	for _, name := range names {
		n := t.nodes[name]
		if n.Kind != kindLink {
			continue
		}
		if !t.stays(n) {
			return nil, &Refused{Entry: t.at, Name: name, Reason: fmt.Sprintf("it is a link to %.200q, which leaves the bundle or has no end", n.Target)}
		}
	}
	for _, name := range names {
		if n := t.nodes[name]; n.Kind == kindLink {
			if err := t.root.Symlink(filepath.FromSlash(n.Target), filepath.FromSlash(name)); err != nil {
				return nil, t.taken(name, err)
			}
		}
	}
	// From the leaves to the root: a folder is synced when all that is in it is.
	for _, name := range slices.Backward(append([]string{"."}, names...)) {
		if n := t.nodes[name]; n != nil && n.Kind != kindDir {
			continue
		}
		if err := t.seal(name); err != nil {
			return nil, err
		}
	}
	entries := make([]Entry, 0, len(names))
	for _, name := range names {
		entries = append(entries, *t.nodes[name])
	}
	return entries, nil
}

func (t *tree) seal(dir string) error {
	if err := t.root.Chmod(filepath.FromSlash(dir), modeDir); err != nil {
		return err
	}
	f, err := t.root.Open(filepath.FromSlash(dir))
	if err != nil {
		return err
	}
	return errors.Join(syncDir(f), f.Close())
}

// maxHops is how many links one path may go through; the kernel has 40.
const maxHops = 40

// stays follows a link through the other links of the archive, as the kernel would, and reports whether it ends within the bundle. A
// target that does not exist is no harm: nothing will ever be there.
func (t *tree) stays(link *Entry) bool {
	at := parts(path.Dir(link.Path))
	todo := strings.Split(link.Target, "/")
	hops := 1
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return false
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at, part)
		n := t.nodes[strings.Join(at, "/")]
		if n == nil || n.Kind != kindLink {
			continue
		}
		if hops++; hops > maxHops {
			return false
		}
		at = at[:len(at)-1]
		todo = append(strings.Split(n.Target, "/"), todo...)
		if len(todo) > maxPath {
			return false
		}
	}
	return true
}

func parts(dir string) []string {
	if dir == "." {
		return nil
	}
	return strings.Split(dir, "/")
}

// meter counts what is unpacked, and stops at the limits and when the context ends.
type meter struct {
	t *tree
	r io.Reader
}

func (m *meter) Read(p []byte) (int, error) {
	if err := context.Cause(m.t.ctx); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	t := m.t
	t.bytes += int64(n)
	if t.bytes > t.limits.Bytes {
		return 0, t.refuse("unpacked, the artifact is larger than %d bytes", t.limits.Bytes)
	}
	if most := max(t.limits.floor, t.packed*t.limits.Ratio); t.bytes > most {
		return 0, t.refuse("unpacked, the artifact is more than %d times as large as packed", t.limits.Ratio)
	}
	return n, err
}
