package ship

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// digestOf is the digest of the candidate that an archive becomes.
func digestOf(t testing.TB, archive []byte) string {
	t.Helper()
	p, err := newPacker(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	if err := p.write(context.Background(), sum); err != nil {
		t.Fatal(err)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}
