package api

import (
	"net/http"
)

// inProblems turns the plain errors of http.ServeContent, which refuses ranges, into problems.
type inProblems struct {
	http.ResponseWriter
	refused bool
}

// WriteHeader implements http.ResponseWriter.
func (p *inProblems) WriteHeader(status int) {
	if status < http.StatusBadRequest {
		p.ResponseWriter.WriteHeader(status)
		return
	}
	p.refused = true
	h := p.Header()
	h.Del("Content-Disposition")
	h.Del("Content-Length")
	writeProblem(p.ResponseWriter, newProblem(status, "invalid", "the content has no such range", Place{Location: "header.Range", Message: "must be bytes of the content"}))
}

// Write implements http.ResponseWriter.
func (p *inProblems) Write(b []byte) (int, error) {
	if p.refused {
		return len(b), nil
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (p *inProblems) Unwrap() http.ResponseWriter { return p.ResponseWriter }
