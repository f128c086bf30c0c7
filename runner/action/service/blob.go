package service

import (
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/gantry-ops/gantry/runner/storage"
)

// upload is a file that a client is sending.
type upload struct {
	key uploadKey
	id  string
	// path is where the whole goes, dir where parts may lie.
	dir, path string
	// artifact or cache is what it becomes.
	artifact *storage.Upload
	cache    *storage.Saving
	// owner may use it by its number.
	owner job

	// mu is held for reading while a part is written, for writing while the upload is put together or ended.
	mu    sync.RWMutex
	ended bool
}

// uploadKey is by what a client names an upload when it has sent all: a run's artifact, or a scope's cache.
type uploadKey struct{ run, scope, name, version string }

// download is a file that a client may get.
type download struct {
	path, name, kind string
	// recompress turns zstd into gzip, for a client that knows no better.
	recompress bool
}

// register makes an upload known and returns its address, relative to the services. With retry, an upload for the same
// key that was begun before is given up, because its client is trying again; without, ok is false then.
func (s *Server) register(u *upload, k uploadKey, retry bool) (address string, ok bool) {
	u.key, u.id = k, random()
	s.mu.Lock()
	old := s.uploads[k]
	if old != nil && !retry {
		s.mu.Unlock()
		return "", false
	}
	s.uploads[k] = u
	s.blobs[u.id] = u
	if old != nil {
		delete(s.blobs, old.id)
	}
	s.mu.Unlock()
	if old != nil {
		old.abort()
	}
	return "upload/" + u.id + "/blob?sig=" + random(), true
}

// take ends an upload's time: it returns it once, nil after that.
func (s *Server) take(k uploadKey) *upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[k]
	if u == nil {
		return nil
	}
	delete(s.uploads, k)
	delete(s.blobs, u.id)
	for id, v := range s.saving {
		if v == u {
			delete(s.saving, id)
		}
	}
	return u
}

// offer hands out an address for a file, relative to the services.
func (s *Server) offer(d download) string {
	id := random()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[id] = d
	return "download/" + id + "/" + url.PathEscape(d.name) + "?sig=" + random()
}

func (u *upload) abort() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	if u.artifact != nil {
		u.artifact.Abort()
	}
	if u.cache != nil {
		u.cache.Abort()
	}
}

// complete checks that all has come.
func (u *upload) complete(size string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	info, err := os.Stat(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		return badRequest("nothing was uploaded")
	}
	if err != nil {
		return err
	}
	if want, err := strconv.ParseInt(size, 10, 64); err == nil && want != info.Size() {
		return badRequest("%d bytes were uploaded, not %d as announced", info.Size(), want)
	}
	return nil
}

var errEnded = notFound("the upload has ended")

// part opens a file of the upload for a write; done must be called after it.
func (u *upload) part(path string, flag int) (f *os.File, done func(), err error) {
	u.mu.RLock()
	if u.ended {
		u.mu.RUnlock()
		return nil, nil, errEnded
	}
	f, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flag, 0o644)
	if err != nil {
		u.mu.RUnlock()
		return nil, nil, err
	}
	return f, u.mu.RUnlock, nil
}

func (u *upload) writeAt(r io.Reader, offset int64) error {
	f, done, err := u.part(u.path, 0)
	if err != nil {
		return err
	}
	defer done()
	_, err = io.Copy(io.NewOffsetWriter(f, offset), r)
	return errors.Join(err, f.Close())
}

func (u *upload) writeFile(r io.Reader, path string) error {
	f, done, err := u.part(path, os.O_TRUNC)
	if err != nil {
		return err
	}
	defer done()
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// block returns the file of a block. Names are the client's own: any text.
func (u *upload) block(id string) (string, error) {
	if id == "" || len(id) > 96 {
		return "", badRequest("a block's name has 1 to 96 characters")
	}
	return filepath.Join(u.dir, "block-"+hex.EncodeToString([]byte(id))), nil
}

// assemble makes one file of blocks, in the order given.
func (u *upload) assemble(ids []string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return errEnded
	}
	out, err := os.OpenFile(u.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, id := range ids {
		file, err := u.block(id)
		if err != nil {
			return err
		}
		in, err := os.Open(file)
		if err != nil {
			return badRequest("block %q was not uploaded", id)
		}
		_, err = io.Copy(out, in)
		in.Close()
		if err != nil {
			return err
		}
	}
	return out.Close()
}

// putBlob takes what the blob client sends: a file at once, a block of it, or the list that makes blocks a file
// (https://learn.microsoft.com/rest/api/storageservices/put-blob and the pages on blocks).
func (s *Server) putBlob(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	u := s.blobs[r.PathValue("id")]
	s.mu.Unlock()
	err := errEnded
	if u != nil {
		err = s.storeBlob(u, r)
	}
	if err != nil {
		writeBlobError(w, err)
		return
	}
	w.Header().Set("ETag", `"`+u.id+`"`)
	w.Header().Set("x-ms-request-server-encrypted", "false")
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) storeBlob(u *upload, r *http.Request) error {
	switch comp := r.URL.Query().Get("comp"); comp {
	case "":
		return u.writeFile(r.Body, u.path)
	case "block":
		file, err := u.block(r.URL.Query().Get("blockid"))
		if err != nil {
			return err
		}
		return u.writeFile(r.Body, file)
	case "blocklist":
		ids, err := readBlockList(http.MaxBytesReader(nil, r.Body, maxRequest))
		if err != nil {
			return err
		}
		return u.assemble(ids)
	default:
		return badRequest("comp=%s is not supported", comp)
	}
}

// readBlockList reads <BlockList><Latest>ID</Latest>…</BlockList>; its members may have other names, the order counts.
func readBlockList(r io.Reader) ([]string, error) {
	var list struct {
		Blocks []struct {
			XMLName xml.Name
			ID      string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.NewDecoder(r).Decode(&list); err != nil {
		return nil, badRequest("the list of blocks is not valid: %v", err)
	}
	var ids []string
	for _, b := range list.Blocks {
		switch b.XMLName.Local {
		case "Latest", "Committed", "Uncommitted":
			ids = append(ids, b.ID)
		default:
			return nil, badRequest("the list of blocks has the unknown member %s", b.XMLName.Local)
		}
	}
	return ids, nil
}

// writeBlobError answers as the blob client expects it.
func writeBlobError(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, "InternalError"
	var e *apiError
	if errors.As(err, &e) {
		status, code = e.status, "InvalidInput"
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("x-ms-error-code", code)
	w.WriteHeader(status)
	io.WriteString(w, xml.Header+"<Error><Code>"+code+"</Code><Message>")
	xml.EscapeText(w, []byte(err.Error()))
	io.WriteString(w, "</Message></Error>")
}

// getFile sends a file, or the part of it that a Range asks for.
func (s *Server) getFile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	d, ok := s.files[r.PathValue("id")]
	s.mu.Unlock()
	if !ok {
		writeBlobError(w, notFound("no such file"))
		return
	}
	f, err := os.Open(d.path)
	if err != nil {
		writeBlobError(w, notFound("the file is no longer there"))
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		writeBlobError(w, err)
		return
	}
	w.Header().Set("Content-Type", d.kind)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.name}))
	if d.recompress {
		if err := recompress(w, f); err != nil {
			// The status has gone out; a broken connection tells the client.
			panic(http.ErrAbortHandler)
		}
		return
	}
	http.ServeContent(w, r, "", info.ModTime(), f)
}

func recompress(w io.Writer, r io.Reader) error {
	z, err := zstd.NewReader(r)
	if err != nil {
		return fmt.Errorf("read the cache: %w", err)
	}
	defer z.Close()
	g, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	_, err = io.Copy(g, z)
	return errors.Join(err, g.Close())
}
