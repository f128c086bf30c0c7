package secret

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gantry-ops/gantry/store"
)

// dataKey seals values.
type dataKey struct {
	id   string
	aead cipher.AEAD
}

// newDataKey makes a data key, and the row in which it is kept for an identity.
func newDataKey(for_ identity, now time.Time) (*keyRow, *dataKey, error) {
	raw := make([]byte, chacha20poly1305.KeySize)
	rand.Read(raw) // never fails, see its documentation
	var wrapped bytes.Buffer
	w, err := age.Encrypt(&wrapped, for_.recipient)
	if err == nil {
		_, err = w.Write(raw)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("wrap a data key: %w", err)
	}
	aead, err := chacha20poly1305.NewX(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("make a data key: %w", err)
	}
	k := &keyRow{Slot: 1, ID: rand.Text(), Recipient: for_.public, Wrapped: wrapped.Bytes(), CreatedAt: store.At(now)}
	return k, &dataKey{id: k.ID, aead: aead}, nil
}

// unwrap returns the data key of a row. source says where the identities come from.
func unwrap(k *keyRow, ring []identity, source string) (*dataKey, error) {
	all := make([]age.Identity, len(ring))
	public := make([]string, len(ring))
	for i := range ring {
		all[i], public[i] = ring[i].Identity, ring[i].public
	}
	r, err := age.Decrypt(bytes.NewReader(k.Wrapped), all...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, fmt.Errorf("%w: the secrets of this database are encrypted for %s, and %s has the key of %s; give the one that they were made with",
			ErrWrongKey, k.Recipient, source, strings.Join(public, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("unwrap the data key: it %w (%w)", ErrDamaged, err)
	}
	raw, err := io.ReadAll(io.LimitReader(r, chacha20poly1305.KeySize+1))
	if err != nil {
		return nil, fmt.Errorf("unwrap the data key: it %w (%w)", ErrDamaged, err)
	}
	aead, err := chacha20poly1305.NewX(raw)
	if err != nil {
		return nil, fmt.Errorf("unwrap the data key: it %w (%w)", ErrDamaged, err)
	}
	return &dataKey{id: k.ID, aead: aead}, nil
}

// seal encrypts a value for its row, whose other fields are set.
func (k *dataKey) seal(r *row, value string) {
	r.Key = k.id
	nonce := make([]byte, k.aead.NonceSize(), k.aead.NonceSize()+len(value)+k.aead.Overhead())
	rand.Read(nonce)
	r.Sealed = k.aead.Seal(nonce, nonce, []byte(value), r.bound())
}

// open decrypts the value of a row.
func (k *dataKey) open(r *row) (string, error) {
	n := k.aead.NonceSize()
	if r.Key == k.id && len(r.Sealed) >= n {
		if value, err := k.aead.Open(nil, r.Sealed[:n], r.Sealed[n:], r.bound()); err == nil {
			return string(value), nil
		}
	}
	return "", fmt.Errorf("the secret %s of %s %w", r.Name, place(r.Project, r.Environment), ErrDamaged)
}

// bound is what a value cannot be parted from: unambiguous for each data key, project, environment, name and version.
func (r *row) bound() []byte {
	b := []byte("gantry secret 1")
	for _, field := range []string{r.Key, r.Project, r.Environment, r.Name} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	return binary.BigEndian.AppendUint64(b, uint64(r.Version))
}

// place names a project or environment for people.
func place(project, environment string) string {
	switch {
	case project == "":
		return "the server"
	case environment == "":
		return "the project " + project
	}
	return fmt.Sprintf("the project %s in %s", project, environment)
}
