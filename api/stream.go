package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gantry-ops/gantry/auth"
)

const (
	// heartbeat is how often a stream without news shows that it lives; proxies end silent ones.
	heartbeat = 15 * time.Second
	// patience is how long a reader may take for one message before it is cut off.
	patience = 20 * time.Second
	// recheck is how often the reader's credentials are looked at again.
	recheck = time.Minute
)

// stream writes server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) to one reader. It holds no buffer: a
// reader that is slow is read for from the database when it is ready, and one that takes nothing for patience is cut off.
type stream struct {
	ctx     context.Context
	w       http.ResponseWriter
	control *http.ResponseController
	// id is the reader, as check has found it: its grants change.
	id      *auth.Identity
	checked time.Time
	// check looks at the reader's credentials again where that is due.
	check func() error
}

var errSignedOut = errors.New("the credentials hold no longer")

// stream answers with events.
func (s *Server) stream(run func(*stream) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		op, _ := hc.Operation().Metadata["operation"].(*operation)
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no")
		st := &stream{ctx: r.Context(), w: w, control: http.NewResponseController(w), id: identity(hc.Context()), checked: s.o.Now()}
		st.check = func() error {
			if s.o.Now().Sub(st.checked) < recheck {
				return nil
			}
			st.checked = s.o.Now()
			id, err := s.o.Auth.Authenticate(r.Context(), r)
			if err == nil {
				err = s.allow(r.Context(), id, op, hc.Param)
			}
			if err != nil {
				return errors.Join(errSignedOut, err)
			}
			st.id = id
			return nil
		}
		w.WriteHeader(http.StatusOK)
		if err := st.raw(": a stream of events\n\n"); err != nil {
			return
		}
		if err := run(st); err != nil && r.Context().Err() == nil {
			// What the reader has is whole; it comes again with Last-Event-ID.
			s.o.Log.Debug("a stream ended", "operation", op.id, "error", err)
		}
	}}
}

// raw writes and flushes.
func (st *stream) raw(text string) error {
	if err := st.control.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := st.w.Write([]byte(text)); err != nil {
		return err
	}
	return st.control.Flush()
}

// send writes one event; an ID of 0 is none.
func (st *stream) send(event string, id int64, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	head := ""
	if id > 0 {
		head = "id: " + strconv.FormatInt(id, 10) + "\n"
	}
	return st.raw(head + "event: " + event + "\ndata: " + string(b) + "\n\n")
}

// wait returns when there may be news, and keeps the stream alive meanwhile.
func (st *stream) wait(news <-chan struct{}) error {
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	for {
		select {
		case <-st.ctx.Done():
			return context.Cause(st.ctx)
		case <-news:
			return st.check()
		case <-timer.C:
			if err := st.check(); err != nil {
				return err
			}
			if err := st.raw(": alive\n\n"); err != nil {
				return fmt.Errorf("the reader is gone: %w", err)
			}
			timer.Reset(heartbeat)
		}
	}
}

// eventID reads the number of a Last-Event-ID.
func eventID(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}
