package secret

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/gantry-ops/gantry/store"
)

// identity is one that data keys are wrapped for.
type identity struct {
	age.Identity
	recipient age.Recipient
	// public is the recipient as text.
	public string
}

// nextSuffix is what the file is called in addition that becomes the key file when a rotation is committed.
const nextSuffix = ".next"

// source says where the identities come from, for errors.
func (s *Store) source() string {
	switch {
	case s.o.IdentityFile != "":
		return s.o.IdentityFile
	case s.o.Identities != "":
		return "the configuration"
	}
	return s.o.KeyFile
}

// identities reads those that there are. create: the server's own is made where it is missing.
func (s *Store) identities(create bool) ([]identity, error) {
	var text string
	switch {
	case s.o.Identities != "":
		text = s.o.Identities
	case s.o.IdentityFile != "":
		b, err := readPrivate(s.o.IdentityFile)
		if err != nil {
			return nil, err
		}
		text = string(b)
	default:
		b, err := readPrivate(s.o.KeyFile)
		if errors.Is(err, fs.ErrNotExist) && create {
			b, err = createKeyFile(s.o.KeyFile)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is missing, without which the secrets in the database cannot be read; restore it from a backup", s.o.KeyFile)
		}
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	return parseIdentities(text, s.source())
}

// parseIdentities reads age identities, one a line; empty lines and those that begin with "#" are left out.
func parseIdentities(text, source string) ([]identity, error) {
	parsed, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		// age's own error may repeat what it could not read, which may be most of a key.
		return nil, fmt.Errorf("%s holds no age identities (lines that begin with AGE-SECRET-KEY-), or a damaged one; age-keygen makes one", source)
	}
	out := make([]identity, len(parsed))
	for i, p := range parsed {
		switch p := p.(type) {
		case *age.X25519Identity:
			out[i] = identity{p, p.Recipient(), p.Recipient().String()}
		case *age.HybridIdentity:
			out[i] = identity{p, p.Recipient(), p.Recipient().String()}
		default:
			return nil, fmt.Errorf("%s: identity %d is of a kind that gantry cannot encrypt for; age-keygen makes one", source, i+1)
		}
	}
	return out, nil
}

// newIdentity makes an identity and the file that holds it, in the form of age-keygen.
func newIdentity(now time.Time) (identity, []byte, error) {
	x, err := age.GenerateX25519Identity()
	if err != nil {
		return identity{}, nil, fmt.Errorf("make a key: %w", err)
	}
	id := identity{x, x.Recipient(), x.Recipient().String()}
	text := fmt.Sprintf("# The key of gantry's secrets. Keep a copy where no copy of the database is.\n# created: %s\n# public key: %s\n%s\n", now.UTC().Format(time.RFC3339), id.public, x)
	return id, []byte(text), nil
}

// createKeyFile makes a key file, unless another process has done so at the same time, and returns what it holds.
func createKeyFile(name string) ([]byte, error) {
	_, text, err := newIdentity(time.Now())
	if err != nil {
		return nil, err
	}
	if err := writePrivate(name, text, true); err != nil {
		return nil, err
	}
	return readPrivate(name)
}

// readPrivate reads a file that others must not be able to.
func readPrivate(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o007 != 0 {
		return nil, fmt.Errorf("%s may be read or written by everybody on this machine (mode %04o); chmod 600 it, and rotate the secrets if somebody might have", name, mode)
	}
	const largest = 1 << 20
	if info.Size() > largest {
		return nil, fmt.Errorf("%s is too large to be a key", name)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	return b, nil
}

// writePrivate writes a file for its owner alone, so that it is there as a whole or not at all, also after a loss of power. keep: a file
// that is there already stays as it is.
func writePrivate(name string, content []byte, keep bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the key: %w", err)
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if keep {
		err = os.Link(f.Name(), name)
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
	} else {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

// syncFolder makes what was renamed in a folder last.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// settle ends what a rotation of the server's own identity has left when it was interrupted: the new identity takes the old one's place
// if the database is encrypted for it, and goes otherwise. It looks while nobody else can change the key, so that it never takes away the
// file of a rotation that is under way.
func (s *Store) settle(ctx context.Context) error {
	if s.configured() {
		return nil
	}
	next := s.o.KeyFile + nextSuffix
	if _, err := os.Stat(next); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		k, err := readKey(ctx, tx, tx.ForUpdate())
		if err != nil {
			return err
		}
		ring, err := s.nextIdentities()
		if err != nil || ring == nil {
			return err
		}
		if k != nil && k.Recipient == ring[0].public {
			err = os.Rename(next, s.o.KeyFile)
		} else {
			err = os.Remove(next)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("end an interrupted rotation: %w", err)
		}
		return syncFolder(filepath.Dir(s.o.KeyFile))
	})
}

// nextIdentities reads the file that a rotation writes first; nil where there is none.
func (s *Store) nextIdentities() ([]identity, error) {
	next := s.o.KeyFile + nextSuffix
	b, err := readPrivate(next)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseIdentities(string(b), next)
}
