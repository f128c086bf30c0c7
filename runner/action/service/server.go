// Package service is the artifact and cache services that JavaScript actions talk to while a run lasts: the Twirp services
// github.actions.results.api.v1.ArtifactService and CacheService over JSON, uploads as the Azure block blob client does
// them, and the older REST interface of caches. What they need of these protocols is all there is: the clients are the
// npm packages @actions/artifact and @actions/cache (https://github.com/actions/toolkit), which the tests run.
//
// The services listen on the loopback interface, and on an address for containers only where one is asked for. Every
// request needs the token of a job of this run, or an address with a random part that such a request has handed out.
package service

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gantry-ops/gantry/runner/storage"
)

// Options are what [Start] needs. A service whose store is nil answers that it is not available.
type Options struct {
	Artifacts *storage.Artifacts
	Caches    *storage.Caches
}

// Server are the services of one run.
type Server struct {
	Options
	url  string
	http *http.Server

	mu sync.Mutex
	// jobs holds who a token belongs to.
	jobs map[string]job
	// hosts holds the URLs of further addresses.
	hosts   map[string]string
	blobs   map[string]*upload
	files   map[string]download
	uploads map[uploadKey]*upload
	saving  map[int64]*upload
	nextID  int64
}

// job is who asks.
type job struct {
	run, id, scope string
	// runID and jobID are how the protocol calls them: without the separators that names may have.
	runID, jobID string
}

// Start listens on a free port of the loopback interface.
func Start(o Options) (*Server, error) {
	s := &Server{
		Options: o, jobs: map[string]job{}, hosts: map[string]string{}, blobs: map[string]*upload{}, files: map[string]download{},
		uploads: map[uploadKey]*upload{}, saving: map[int64]*upload{},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the artifact and cache services: %w", err)
	}
	s.url = "http://" + l.Addr().String() + "/"
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 30 * time.Second}
	go s.http.Serve(l)
	return s, nil
}

// URL is the address of the services, with a slash at its end.
func (s *Server) URL() string { return s.url }

// Listen lets the services be reached by another address of this machine as well, and returns its URL. Further calls with
// the same host return the same.
func (s *Server) Listen(host string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.hosts[host]; ok {
		return u, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("listen for containers: %w", err)
	}
	s.hosts[host] = "http://" + l.Addr().String() + "/"
	go s.http.Serve(l)
	return s.hosts[host], nil
}

// Close ends the services. Uploads that were not finished are gone.
func (s *Server) Close() error {
	err := s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.blobs {
		u.abort()
	}
	clear(s.blobs)
	return err
}

// Token returns a token by which a job of a run, whose repository is scope, may use the services. It has the form of a
// JSON Web Token with the claims that the toolkit reads; the services compare it as a whole.
func (s *Server) Token(run, id, scope string) string {
	j := job{run: run, id: id, scope: scope}
	j.runID = uuid.NewSHA1(uuid.NameSpaceURL, []byte("run:"+run)).String()
	j.jobID = uuid.NewSHA1(uuid.NameSpaceURL, []byte("job:"+run+":"+id)).String()
	encode := func(v any) string {
		b, _ := json.Marshal(v) // maps of texts and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now()
	token := encode(map[string]any{"alg": "HS256", "typ": "JWT"}) + "." +
		encode(map[string]any{
			"scp": "Actions.Results:" + j.runID + ":" + j.jobID,
			"nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(30 * 24 * time.Hour).Unix(),
		}) + "." + random()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[token] = j
	return token
}

func random() string {
	var b [24]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	artifact := "POST /twirp/github.actions.results.api.v1.ArtifactService/"
	m.Handle(artifact+"CreateArtifact", twirp(s, s.createArtifact))
	m.Handle(artifact+"FinalizeArtifact", twirp(s, s.finalizeArtifact))
	m.Handle(artifact+"ListArtifacts", twirp(s, s.listArtifacts))
	m.Handle(artifact+"GetSignedArtifactURL", twirp(s, s.signedArtifactURL))
	m.Handle(artifact+"DeleteArtifact", twirp(s, s.deleteArtifact))
	cache := "POST /twirp/github.actions.results.api.v1.CacheService/"
	m.Handle(cache+"CreateCacheEntry", twirp(s, s.createCache))
	m.Handle(cache+"FinalizeCacheEntryUpload", twirp(s, s.finalizeCache))
	m.Handle(cache+"GetCacheEntryDownloadURL", twirp(s, s.cacheURL))
	m.HandleFunc("/twirp/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &apiError{http.StatusNotFound, "bad_route", "no such method: " + r.URL.Path})
	})
	m.HandleFunc("GET /_apis/artifactcache/cache", s.rest(s.restLookup))
	m.HandleFunc("GET /_apis/artifactcache/caches", s.rest(s.restList))
	m.HandleFunc("POST /_apis/artifactcache/caches", s.rest(s.restReserve))
	m.HandleFunc("PATCH /_apis/artifactcache/caches/{id}", s.rest(s.restChunk))
	m.HandleFunc("POST /_apis/artifactcache/caches/{id}", s.rest(s.restCommit))
	// The blob client takes the first two parts of a path as account and container.
	m.HandleFunc("PUT /upload/{id}/{name}", s.putBlob)
	m.HandleFunc("GET /download/{id}/{name}", s.getFile)
	return m
}

// authorized returns the job whose token a request carries.
func (s *Server) authorized(r *http.Request) (job, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		if j, ok := s.jobs[token]; ok {
			return j, nil
		}
	}
	return job{}, &apiError{http.StatusUnauthorized, "unauthenticated", "the token is not one of this run's jobs"}
}

// apiError is an answer by which a client is told that something is not possible.
type apiError struct {
	status int
	// code is Twirp's name of the kind of error.
	code, message string
}

func (e *apiError) Error() string { return e.message }

func badRequest(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "invalid_argument", fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &apiError{http.StatusNotFound, "not_found", fmt.Sprintf(format, args...)}
}

func writeError(w http.ResponseWriter, err error) {
	e := &apiError{http.StatusInternalServerError, "internal", err.Error()}
	errors.As(err, &e)
	// "msg" is Twirp's name, "message" that of the REST interface.
	writeJSON(w, e.status, map[string]string{"code": e.code, "msg": e.message, "message": e.message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}

// maxRequest bounds the size of a request that is JSON or XML.
const maxRequest = 4 << 20

func readJSON(r *http.Request, v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequest))
	if err != nil {
		return badRequest("read the request: %v", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return badRequest("the request is not the JSON expected: %v", err)
	}
	return nil
}

// call is one request of a job.
type call struct {
	context.Context
	job
	// base is the URL by which the client has reached the services, with a slash at its end.
	base string
}

func (s *Server) call(r *http.Request) (call, error) {
	j, err := s.authorized(r)
	return call{r.Context(), j, "http://" + r.Host + "/"}, err
}

// twirp serves a method that takes and returns JSON.
func twirp[In, Out any](s *Server, method func(call, *In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := s.call(r)
		if err != nil {
			writeError(w, err)
			return
		}
		in := new(In)
		if err := readJSON(r, in); err != nil {
			writeError(w, err)
			return
		}
		out, err := method(c, in)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	})
}

// rest serves a request of the older interface of caches.
func (s *Server) rest(do func(call, http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := s.call(r)
		if err == nil && s.Caches == nil {
			err = notFound("this run keeps no caches")
		}
		if err == nil {
			err = do(c, w, r)
		}
		if err != nil {
			writeError(w, err)
		}
	}
}
