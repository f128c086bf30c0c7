package store_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/store"
)

func TestBlobsInFolder(t *testing.T) {
	root := t.TempDir()
	for _, tt := range []struct {
		name, location, dir string
		want                []string
	}{
		{"default", "", "data/blobs", []string{"data", "data/blobs", "data/blobs/logs", "data/blobs/logs/1"}},
		{"URL", "file://" + filepath.ToSlash(root) + "/elsewhere?prefix=a/", "unused", []string{"elsewhere", "elsewhere/a", "elsewhere/a/logs", "elsewhere/a/logs/1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Temporary files must not go where another file system may be.
			t.Setenv("TMPDIR", filepath.Join(root, "no such folder"))
			b, err := store.OpenBlobs(t.Context(), tt.location, filepath.Join(root, tt.dir))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := b.WriteAll(t.Context(), "logs/1", []byte("hello"), nil); err != nil {
				t.Fatal(err)
			}
			if got, err := b.ReadAll(t.Context(), "logs/1"); err != nil || string(got) != "hello" {
				t.Errorf("read %q, %v", got, err)
			}
			var names []string
			err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := d.Info()
				if err != nil {
					return err
				}
				if rel, _ := filepath.Rel(root, name); strings.HasPrefix(rel, tt.want[0]) {
					names = append(names, filepath.ToSlash(rel))
					if d.IsDir() && info.Mode().Perm()&0o077 != 0 {
						t.Errorf("%s is open to others: %v", rel, info.Mode())
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(names)
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("files (-want +got)\n%s", diff)
			}
		})
	}
}

func TestBlobsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ location, dir, want string }{
		{"ftp://example.com/x", "", "ftp:// is not known; use s3://, gs://, azblob:// or file:///"},
		{"/var/blobs", "", "a folder is named file:///PATH"},
		{"file://example.com/x", "", "a folder is named file:///PATH"},
		{"file:///x?metadata=skip", "", "no option but prefix"},
		{"s3://", "", "s3:// needs the name of a bucket"},
		{"s3://key:%zz@x", "", "the location is not a URL"},
		{"s3://bucket?nonsense=1", "", "open blobs in s3://bucket: "},
		{"", file, "open blobs in the folder " + file},
	} {
		b, err := store.OpenBlobs(t.Context(), tt.location, tt.dir)
		if err == nil {
			b.Close()
			t.Errorf("%s: opened", tt.location)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", tt.location, err, tt.want)
		}
	}
}
