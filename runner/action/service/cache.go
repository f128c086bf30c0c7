package service

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/runner/storage"
)

type (
	cacheRequest struct {
		Key         string   `json:"key"`
		RestoreKeys []string `json:"restore_keys"`
		Version     string   `json:"version"`
		Size        string   `json:"size_bytes"`
	}
	createCacheResponse struct {
		OK        bool   `json:"ok"`
		UploadURL string `json:"signed_upload_url"`
		Message   string `json:"message,omitempty"`
	}
	finalizeCacheResponse struct {
		OK      bool   `json:"ok"`
		EntryID string `json:"entry_id"`
		Message string `json:"message,omitempty"`
	}
	cacheURLResponse struct {
		OK         bool   `json:"ok"`
		URL        string `json:"signed_download_url"`
		MatchedKey string `json:"matched_key"`
	}
)

var errNoCaches = notFound("this run keeps no caches")

// reserve begins an entry, unless there is one or another job is at it.
func (s *Server) reserve(c call, key, version string) (*upload, string, error) {
	k := uploadKey{scope: c.scope, name: key, version: version}
	saving, err := s.Caches.Create(storage.CacheEntry{Scope: c.scope, Key: key, Version: version})
	if errors.Is(err, storage.ErrCacheExists) {
		return nil, "", &apiError{http.StatusConflict, "already_exists", "cache entry with the same key, version, and scope already exists"}
	}
	if err != nil {
		return nil, "", badRequest("%v", err)
	}
	u := &upload{dir: saving.Dir(), path: saving.Path(), cache: saving}
	address, ok := s.register(u, k, false)
	if !ok {
		u.abort()
		return nil, "", &apiError{http.StatusConflict, "already_exists", "another job is creating this cache"}
	}
	return u, address, nil
}

func (s *Server) createCache(c call, in *cacheRequest) (createCacheResponse, error) {
	if s.Caches == nil {
		return createCacheResponse{}, errNoCaches
	}
	_, url, err := s.reserve(c, in.Key, in.Version)
	if err != nil {
		return createCacheResponse{}, err
	}
	return createCacheResponse{OK: true, UploadURL: c.base + url}, nil
}

func (s *Server) finalizeCache(c call, in *cacheRequest) (finalizeCacheResponse, error) {
	if s.Caches == nil {
		return finalizeCacheResponse{}, errNoCaches
	}
	u := s.take(uploadKey{scope: c.scope, name: in.Key, version: in.Version})
	if u == nil {
		return finalizeCacheResponse{}, notFound("no upload of cache %q has begun", in.Key)
	}
	e, err := s.commitCache(u, in.Size)
	if err != nil {
		return finalizeCacheResponse{}, err
	}
	return finalizeCacheResponse{OK: true, EntryID: strconv.FormatInt(e.ID, 10)}, nil
}

func (s *Server) commitCache(u *upload, size string) (storage.CacheEntry, error) {
	defer u.abort()
	if err := u.complete(size); err != nil {
		return storage.CacheEntry{}, err
	}
	e, err := u.cache.Commit()
	if errors.Is(err, storage.ErrCacheExists) {
		return e, &apiError{http.StatusConflict, "already_exists", "cache entry with the same key, version, and scope already exists"}
	}
	return e, err
}

func (s *Server) cacheURL(c call, in *cacheRequest) (cacheURLResponse, error) {
	if s.Caches == nil {
		return cacheURLResponse{}, errNoCaches
	}
	e, ok, err := s.Caches.Lookup(c.scope, append([]string{in.Key}, in.RestoreKeys...), in.Version)
	if err != nil {
		return cacheURLResponse{}, badRequest("%v", err)
	}
	if !ok {
		return cacheURLResponse{}, nil
	}
	return cacheURLResponse{OK: true, URL: c.base + s.offerCache(e, in.Version), MatchedKey: e.Key}, nil
}

// offerCache hands out the address of an archive, in the compression that the asker's version stands for.
func (s *Server) offerCache(e storage.CacheEntry, version string) string {
	d := download{path: e.Path(), name: "cache.tzst", kind: "application/octet-stream"}
	if e.Version != version {
		d.recompress = true
	}
	return s.offer(d)
}

// restLookup answers which entry there is for keys: 200 with its address, or 204.
func (s *Server) restLookup(c call, w http.ResponseWriter, r *http.Request) error {
	version := r.URL.Query().Get("version")
	e, ok, err := s.Caches.Lookup(c.scope, strings.Split(r.URL.Query().Get("keys"), ","), version)
	if err != nil {
		return badRequest("%v", err)
	}
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	entry := restEntry(e)
	entry["archiveLocation"] = c.base + s.offerCache(e, version)
	writeJSON(w, http.StatusOK, entry)
	return nil
}

func restEntry(e storage.CacheEntry) map[string]any {
	return map[string]any{"cacheKey": e.Key, "cacheVersion": e.Version, "scope": e.Scope, "creationTime": e.Created.UTC().Format("2006-01-02T15:04:05.000Z")}
}

// restList lists the entries whose key begins with one, for the clients' debug output.
func (s *Server) restList(c call, w http.ResponseWriter, r *http.Request) error {
	all, err := s.Caches.List(c.scope)
	if err != nil {
		return err
	}
	list := []map[string]any{}
	for _, e := range all {
		if strings.HasPrefix(e.Key, r.URL.Query().Get("key")) {
			list = append(list, restEntry(e))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"totalCount": len(list), "artifactCaches": list})
	return nil
}

func (s *Server) restReserve(c call, w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Key     string `json:"key"`
		Version string `json:"version"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	u, _, err := s.reserve(c, in.Key, in.Version)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.nextID++
	id := s.nextID
	u.owner = c.job
	s.saving[id] = u
	s.mu.Unlock()
	writeJSON(w, http.StatusCreated, map[string]int64{"cacheId": id})
	return nil
}

// restUpload returns the upload that a path names by its number.
func (s *Server) restUpload(c call, r *http.Request) (*upload, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, badRequest("%q is no number of a cache", r.PathValue("id"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.saving[id]
	if u == nil || u.owner != c.job {
		return nil, notFound("no upload of a cache with the number %d has begun", id)
	}
	return u, nil
}

func (s *Server) restChunk(c call, w http.ResponseWriter, r *http.Request) error {
	u, err := s.restUpload(c, r)
	if err != nil {
		return err
	}
	offset, ok := parseContentRange(r.Header.Get("Content-Range"))
	if !ok {
		return badRequest("the header Content-Range is %q, expected bytes FIRST-LAST/*", r.Header.Get("Content-Range"))
	}
	if err := u.writeAt(r.Body, offset); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// parseContentRange returns where the bytes of "bytes 0-199/*" begin.
func parseContentRange(h string) (offset int64, ok bool) {
	rest, ok := strings.CutPrefix(h, "bytes ")
	if !ok {
		return 0, false
	}
	first, _, ok := strings.Cut(rest, "-")
	if !ok {
		return 0, false
	}
	offset, err := strconv.ParseInt(first, 10, 64)
	return offset, err == nil && offset >= 0
}

func (s *Server) restCommit(c call, w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Size int64 `json:"size"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	u, err := s.restUpload(c, r)
	if err != nil {
		return err
	}
	if s.take(u.key) == nil {
		return notFound("the upload has ended already")
	}
	if _, err := s.commitCache(u, strconv.FormatInt(in.Size, 10)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
