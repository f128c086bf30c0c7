package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Problem is an answer that an agent may act by (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Error is the problem in words.
func (p *Problem) Error() string { return p.Detail }

func problem(status int, format string, a ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, a...)}
}

// handle answers with what a handler says went wrong. What is not the agent's to know is logged.
func (s *Service) handle(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		var p *Problem
		if !errors.As(err, &p) {
			if r.Context().Err() != nil {
				return // nobody listens any more
			}
			s.o.Log.Error("an agent could not be answered", "path", r.URL.Path, "error", err)
			p = problem(http.StatusServiceUnavailable, "the server could not do its part; try again")
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.Status)
		_ = json.NewEncoder(w).Encode(p) // whoever is gone hears nothing
	}
}

// bodyWithin is how long the body of a request may take.
const bodyWithin = 30 * time.Second

// readJSON reads the body of a request, which is one document and no more.
func readJSON(w http.ResponseWriter, r *http.Request, most int64, to any) error {
	// Whoever sends a body slowly holds a connection for that long at most.
	c := http.NewResponseController(w)
	if c.SetReadDeadline(time.Now().Add(bodyWithin)) == nil {
		defer func() { _ = c.SetReadDeadline(time.Time{}) }() // the connection may be used again
	}
	body := http.MaxBytesReader(w, r.Body, most)
	dec := json.NewDecoder(body)
	if err := dec.Decode(to); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return problem(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", most)
		}
		return problem(http.StatusBadRequest, "the body is not as it shall be: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return problem(http.StatusBadRequest, "there is something after the end of the document")
	}
	return nil
}

// writeJSON answers.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // whoever is gone hears nothing
	return nil
}
