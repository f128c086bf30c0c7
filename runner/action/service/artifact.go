package service

import (
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/runner/storage"
)

// Names of members are those of the protocol's definition; 64-bit numbers are texts, as protobuf's JSON has them.
type (
	artifactName struct {
		Run  string `json:"workflow_run_backend_id"`
		Job  string `json:"workflow_job_run_backend_id"`
		Name string `json:"name"`
	}
	createArtifactRequest struct {
		artifactName
		ExpiresAt *time.Time `json:"expires_at"`
		Version   int        `json:"version"`
		MimeType  string     `json:"mime_type"`
	}
	createArtifactResponse struct {
		OK        bool   `json:"ok"`
		UploadURL string `json:"signed_upload_url"`
	}
	finalizeArtifactRequest struct {
		artifactName
		Size string `json:"size"`
		Hash string `json:"hash"`
	}
	artifactIDResponse struct {
		OK bool   `json:"ok"`
		ID string `json:"artifact_id"`
	}
	listArtifactsRequest struct {
		artifactName
		NameFilter string `json:"name_filter"`
		IDFilter   string `json:"id_filter"`
	}
	listArtifactsResponse struct {
		Artifacts []artifactEntry `json:"artifacts"`
	}
	artifactEntry struct {
		artifactName
		ID      string `json:"database_id"`
		Size    string `json:"size"`
		Created string `json:"created_at"`
		Digest  string `json:"digest"`
	}
	signedURLResponse struct {
		URL string `json:"signed_url"`
	}
)

// checkRun makes sure that a request is about the run whose token it carries.
func (s *Server) checkRun(c call, n artifactName) error {
	if s.Artifacts == nil {
		return notFound("this run keeps no artifacts")
	}
	if n.Run != c.runID {
		return notFound("the token is not for this run")
	}
	return nil
}

func (s *Server) createArtifact(c call, in *createArtifactRequest) (createArtifactResponse, error) {
	var out createArtifactResponse
	if err := s.checkRun(c, in.artifactName); err != nil {
		return out, err
	}
	if in.Version < 4 {
		return out, badRequest("artifacts of version %d are no longer supported; use version 4 or later of the upload action", in.Version)
	}
	o := storage.ArtifactOptions{Job: c.id}
	if in.ExpiresAt != nil {
		if o.Retention = time.Until(*in.ExpiresAt); o.Retention <= 0 {
			return out, badRequest("the artifact would have expired already")
		}
	}
	// Version 7 of the protocol stores single files as they are.
	if in.MimeType != "" && in.MimeType != "application/zip" && in.MimeType != "zip" {
		o.Raw = in.Name
	}
	up, err := s.Artifacts.Create(c.run, in.Name, o)
	if errors.Is(err, storage.ErrArtifactExists) {
		return out, &apiError{http.StatusConflict, "already_exists", "an artifact with this name already exists on the workflow run"}
	}
	if err != nil {
		return out, badRequest("%v", err)
	}
	u := &upload{dir: up.Dir(), path: up.Path(), artifact: up}
	address, _ := s.register(u, uploadKey{run: c.run, scope: c.jobID, name: in.Name}, true)
	return createArtifactResponse{true, c.base + address}, nil
}

func (s *Server) finalizeArtifact(c call, in *finalizeArtifactRequest) (artifactIDResponse, error) {
	var out artifactIDResponse
	if err := s.checkRun(c, in.artifactName); err != nil {
		return out, err
	}
	u := s.take(uploadKey{run: c.run, scope: c.jobID, name: in.Name})
	if u == nil {
		return out, notFound("no upload of artifact %q has begun", in.Name)
	}
	defer u.abort()
	if err := u.complete(in.Size); err != nil {
		return out, err
	}
	a, err := u.artifact.Commit()
	if errors.Is(err, storage.ErrArtifactExists) {
		return out, &apiError{http.StatusConflict, "already_exists", "an artifact with this name already exists on the workflow run"}
	}
	if err != nil {
		return out, err
	}
	if want, ok := strings.CutPrefix(in.Hash, "sha256:"); ok && want != a.SHA256 {
		s.Artifacts.Delete(c.run, in.Name)
		return out, badRequest("what was uploaded has the SHA-256 %s, not %s as announced", a.SHA256, want)
	}
	return artifactIDResponse{true, strconv.FormatInt(a.ID, 10)}, nil
}

func (s *Server) listArtifacts(c call, in *listArtifactsRequest) (listArtifactsResponse, error) {
	out := listArtifactsResponse{Artifacts: []artifactEntry{}}
	if err := s.checkRun(c, in.artifactName); err != nil {
		return out, err
	}
	all, err := s.Artifacts.List(c.run)
	if err != nil {
		return out, err
	}
	for _, a := range all {
		id := strconv.FormatInt(a.ID, 10)
		if in.NameFilter != "" && in.NameFilter != a.Name || in.IDFilter != "" && in.IDFilter != id {
			continue
		}
		out.Artifacts = append(out.Artifacts, artifactEntry{
			artifactName: artifactName{c.runID, c.jobID, a.Name}, ID: id, Size: strconv.FormatInt(a.Size, 10),
			// The client wants three digits or more after the point.
			Created: a.Created.UTC().Format("2006-01-02T15:04:05.000Z"), Digest: "sha256:" + a.SHA256,
		})
	}
	return out, nil
}

func (s *Server) signedArtifactURL(c call, in *artifactName) (signedURLResponse, error) {
	a, err := s.artifact(c, *in)
	if err != nil {
		return signedURLResponse{}, err
	}
	d := download{path: a.Path(), name: a.File, kind: "application/zip"}
	if !a.Zip {
		d.kind = "application/octet-stream"
	}
	return signedURLResponse{c.base + s.offer(d)}, nil
}

func (s *Server) deleteArtifact(c call, in *artifactName) (artifactIDResponse, error) {
	a, err := s.artifact(c, *in)
	if err != nil {
		return artifactIDResponse{}, err
	}
	if err := s.Artifacts.Delete(c.run, in.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return artifactIDResponse{}, err
	}
	return artifactIDResponse{true, strconv.FormatInt(a.ID, 10)}, nil
}

func (s *Server) artifact(c call, n artifactName) (storage.Artifact, error) {
	if err := s.checkRun(c, n); err != nil {
		return storage.Artifact{}, err
	}
	a, err := s.Artifacts.Get(c.run, n.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return a, notFound("no artifact %q in this run", n.Name)
	}
	return a, err
}
