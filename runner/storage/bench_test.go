package storage

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// module makes a folder like a module cache: 2,000 files of text, 32 MiB.
func module(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"func ", "return ", "err ", "nil\n", "package ", "if ", "{\n", "}\n", "string ", "int "}
	text := make([]byte, 0, 16<<10)
	for i := range 2000 {
		text = text[:0]
		for len(text) < 16<<10 {
			text = append(text, words[r.IntN(len(words))]...)
			text = strconv.AppendUint(text, uint64(r.IntN(10000)), 10)
		}
		p := filepath.Join(dir, strconv.Itoa(i/100), strconv.Itoa(i))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(p, text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

func BenchmarkPack(b *testing.B) {
	dir := module(b)
	for _, c := range []Compression{Zstd, Gzip} {
		b.Run(string(c), func(b *testing.B) {
			b.SetBytes(2000 * 16 << 10)
			for b.Loop() {
				if err := Pack(b.Context(), io.Discard, []PackItem{{"m", dir}}, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCache(b *testing.B) {
	dir := module(b)
	c := OpenCaches(b.TempDir(), 0, nil)
	e, err := c.Save(b.Context(), CacheEntry{Scope: "s", Key: "k", Version: "v", Compression: Zstd}, []PackItem{{"m", dir}})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("restore", func(b *testing.B) {
		b.SetBytes(2000 * 16 << 10)
		dest := b.TempDir()
		for b.Loop() {
			if err := c.Restore(b.Context(), e, func(name string) (string, error) { return filepath.Join(dest, name), nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("lookup", func(b *testing.B) {
		for b.Loop() {
			if _, ok, err := c.Lookup("s", []string{"none", "k"}, "v"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}

func BenchmarkArtifact(b *testing.B) {
	dir := module(b)
	p, err := ParsePatterns([]string{dir}, dir, "", true)
	if err != nil {
		b.Fatal(err)
	}
	s := OpenArtifacts(b.TempDir(), nil)
	b.SetBytes(2000 * 16 << 10)
	for b.Loop() {
		m, err := p.Find(b.Context(), FindOptions{FollowLinks: true})
		if err != nil {
			b.Fatal(err)
		}
		f, err := named(m, dir)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Save(b.Context(), "1", "x", f, ArtifactOptions{Level: DefaultLevel, Overwrite: true}); err != nil {
			b.Fatal(err)
		}
	}
}
