package api

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// otherServers is how often streams look for events that other servers of the same database have written.
const otherServers = time.Second

// EventFilter is what lists and streams of events can be restricted by.
type EventFilter struct {
	Project []string `query:"project,explode" maxItems:"100" doc:"May be repeated; empty: all that one may read."`
	Run     string   `query:"run" maxLength:"32"`
	Type    []string `query:"type,explode" maxItems:"32" doc:"Types or their first parts, such as run or run.finished; may be repeated."`
	Actor   string   `query:"actor" maxLength:"256"`
	Subject string   `query:"subject" maxLength:"512"`
}

// query restricts to what the caller may read: events of projects, and those of the server for who may read its trail.
func (s *Server) query(ctx context.Context, f EventFilter) store.EventQuery {
	id := identity(ctx)
	q := store.EventQuery{Run: f.Run, Types: f.Type, Actor: f.Actor, Subject: f.Subject}
	if len(f.Project) > 0 {
		q.Projects = []string{}
		for _, p := range f.Project {
			if s.o.Auth.Allowed(id, auth.EventRead, p) {
				q.Projects = append(q.Projects, p)
			}
		}
		return q
	}
	if s.o.Auth.Allowed(id, auth.EventRead, auth.AllProjects) {
		return q
	}
	q.Projects = []string{}
	for _, p := range s.readable(ctx, id) {
		if s.o.Auth.Allowed(id, auth.EventRead, p) {
			q.Projects = append(q.Projects, p)
		}
	}
	return q
}

// readable lists the projects that an identity may read by their IDs, also where it may read all. A token's scopes are left aside: they
// may have events and not projects.
func (s *Server) readable(ctx context.Context, id *auth.Identity) []string {
	whole := *id
	whole.Scopes = nil
	if only := s.o.Auth.ReadableProjects(&whole); only != nil {
		return only
	}
	var out []string
	after := ""
	for {
		p, err := s.o.Runs.Projects(ctx, nil, jobs.ListOptions{Limit: 200, After: after})
		if err != nil {
			return out
		}
		for _, i := range p.Items {
			out = append(out, i.ID)
		}
		if after = p.Next; after == "" {
			return out
		}
	}
}

func (s *Server) events() {
	const tag = "Events"
	handle(s, operation{id: "list-events", method: http.MethodGet, path: "/api/v1/events", tag: tag, scope: onList, action: auth.EventRead, summary: "The audit trail",
		description: "Everything that has happened, each with who did it. Events are never changed."},
		func(ctx context.Context, in *struct {
			Paged
			EventFilter
			Since time.Time `query:"since" doc:"Not before."`
			Until time.Time `query:"until" doc:"Before."`
			Order string    `query:"order" enum:"asc,desc" default:"desc"`
		}) (*answer[jobs.Page[store.Event]], error) {
			q := s.query(ctx, in.EventFilter)
			q.Since, q.Until, q.Descending, q.Limit = store.At(in.Since), store.At(in.Until), in.Order == "desc", in.Limit+1
			if in.After != "" {
				n, ok := eventID(in.After)
				if !ok {
					return nil, invalidQuery("after", "must be the next of the part before")
				}
				q.After = n
			}
			list, err := s.o.DB.Events(ctx, q)
			p := jobs.Page[store.Event]{Items: list}
			if len(list) > in.Limit {
				p.Items = list[:in.Limit]
				p.Next = strconv.FormatInt(p.Items[in.Limit-1].Seq, 10)
			}
			if p.Items == nil {
				p.Items = []store.Event{}
			}
			return &answer[jobs.Page[store.Event]]{p}, err
		})
	handle(s, operation{id: "stream-events", method: http.MethodGet, path: "/api/v1/events/stream", tag: tag, scope: onList, action: auth.EventRead, slow: true, media: map[int]string{200: "text/event-stream"}, summary: "Events as they happen",
		description: "Server-sent events, each called by its type and numbered by its seq. Last-Event-ID, or after, goes on behind that event; without either the stream begins now."},
		func(ctx context.Context, in *struct {
			EventFilter
			After  string `query:"after" maxLength:"32"`
			LastID string `header:"Last-Event-ID" maxLength:"32"`
		}) (*huma.StreamResponse, error) {
			after, ok := eventID(in.LastID)
			if !ok {
				after, ok = eventID(in.After)
			}
			if !ok {
				if in.After != "" {
					return nil, invalidQuery("after", "must be the number of an event")
				}
				var err error
				if after, err = s.o.DB.LastEvent(ctx); err != nil {
					return nil, err
				}
			}
			filter := in.EventFilter
			return s.stream(func(st *stream) error { return s.tail(st, filter, after) }), nil
		})
}

// tail sends events until the reader goes. What may be read is asked again for each batch: grants and projects change.
func (s *Server) tail(st *stream, f EventFilter, after int64) error {
	woken, stop := s.o.DB.Watch()
	defer stop()
	var seen atomic.Int64
	news := make(chan struct{}, 1)
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(otherServers)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-woken:
			case <-tick.C:
				last, err := s.o.DB.LastEvent(st.ctx)
				if err != nil || last <= seen.Load() {
					continue
				}
			}
			select {
			case news <- struct{}{}:
			default:
			}
		}
	}()
	for {
		ctx := context.WithValue(st.ctx, identityKey{}, st.id)
		// What is not for this reader must be passed over, too, or it would be read again and again.
		last, err := s.o.DB.LastEvent(ctx)
		if err != nil {
			return err
		}
		q := s.query(ctx, f)
		q.After, q.Limit = after, 200
		list, err := s.o.DB.Events(ctx, q)
		if err != nil {
			return err
		}
		for i := range list {
			if err := st.send(list[i].Type, list[i].Seq, &list[i]); err != nil {
				return err
			}
			after = list[i].Seq
		}
		if len(list) == q.Limit {
			if err := st.check(); err != nil {
				return err
			}
			continue
		}
		after = max(after, last)
		seen.Store(after)
		if err := st.wait(news); err != nil {
			return err
		}
	}
}
