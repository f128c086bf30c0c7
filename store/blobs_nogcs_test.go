//go:build !gcs

package store_test

import (
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/store"
)

func TestBlobsWithoutGoogle(t *testing.T) {
	if _, err := store.OpenBlobs(t.Context(), "gs://bucket", ""); err == nil || !strings.Contains(err.Error(), "-tags gcs") {
		t.Errorf("gs:// is refused with %v; want what to do", err)
	}
}
