package forge

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkSnapshot is what each run pays for the files of a commit that are there already.
func BenchmarkSnapshot(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("1"), 0o644); err != nil {
		b.Fatal(err)
	}
	m, err := OpenMirror(filepath.Join(b.TempDir(), "mirror"), "", "")
	if err != nil {
		b.Fatal(err)
	}
	commit, _, err := m.RecordFolder(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, release, err := m.Snapshot(b.Context(), commit, "")
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}
