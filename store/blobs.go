package store

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // s3://
)

// Bucket is where blobs are, see [OpenBlobs].
type Bucket = blob.Bucket

// OpenBlobs opens the place for what is too large for the database: logs, artifacts, caches. The URL is s3://BUCKET?region=…,
// gs://BUCKET or azblob://CONTAINER with the options of gocloud.dev (https://gocloud.dev/howto/blob/), whose credentials come from the
// environment as they do for the vendors' own tools; or file:///PATH, or empty for the folder dir. Folders are made where there are none,
// for this account alone. Any of them may have ?prefix=PATH/ to share a bucket.
//
// Google's libraries make the binary 22 MB larger and each start of it 11 ms longer, that of "gantry run" as well, more than the other two
// together: gs:// is there in a binary built with -tags gcs.
//
// A blob becomes visible as a whole when its writer is closed. In a folder, a blob that is being written lies beside the others under a
// name that ends with .tmp until then, and is left there by a crash.
func OpenBlobs(ctx context.Context, location, dir string) (*Bucket, error) {
	if location == "" {
		return openFolder(dir, "")
	}
	u, err := url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("open blobs: the location is not a URL") // without its text, which may have a key
	}
	switch u.Scheme {
	case "file":
		q := u.Query()
		prefix := q.Get("prefix")
		q.Del("prefix")
		if u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/") || len(q) > 0 {
			return nil, fmt.Errorf("open blobs: a folder is named file:///PATH, with no option but prefix")
		}
		return openFolder(filepath.FromSlash(u.Path), prefix)
	case "s3", "gs", "azblob":
		if u.Host == "" {
			return nil, fmt.Errorf("open blobs: %s:// needs the name of a bucket, as in %s://NAME", u.Scheme, u.Scheme)
		}
		if !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
			return nil, fmt.Errorf("open blobs: this gantry was built without what speaks %s://; build it with -tags gcs", u.Scheme)
		}
		b, err := blob.OpenBucket(ctx, location)
		if err != nil {
			return nil, fmt.Errorf("open blobs in %s://%s: %w", u.Scheme, u.Host, err)
		}
		return b, nil
	case "":
		return nil, fmt.Errorf("open blobs: %q is not a URL; a folder is named file:///PATH", location)
	}
	return nil, fmt.Errorf("open blobs: %s:// is not known; use s3://, gs://, azblob:// or file:///", u.Scheme)
}

func openFolder(dir, prefix string) (*Bucket, error) {
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir:   true,
		DirFileMode: 0o700,
		NoTempDir:   true, // renaming does not work across file systems
		Metadata:    fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fmt.Errorf("open blobs in the folder %s: %w", dir, err)
	}
	if prefix != "" {
		b = blob.PrefixedBucket(b, prefix)
	}
	return b, nil
}
