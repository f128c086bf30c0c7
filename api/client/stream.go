package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// message is one server-sent event.
type message struct{ id, event, data string }

// errEnd ends a stream that is over.
var errEnd = errors.New("the stream is over")

// maxMessage bounds one message, in bytes.
const maxMessage = 32 << 20

// read reads messages until the stream or f ends it.
func read(r io.Reader, f func(message) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxMessage)
	var m message
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			if m.data != "" || m.event != "" {
				if err := f(m); err != nil {
					return err
				}
			}
			m = message{}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			if m.data != "" {
				m.data += "\n"
			}
			m.data += value
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// follow reads a stream until it is over, and resumes it when the connection is lost. last is the ID to go on behind.
func (c *Client) follow(ctx context.Context, r call, last string, f func(message) error) error {
	failed := 0
	for {
		r.header = http.Header{"Accept": {"text/event-stream"}}
		if last != "" {
			r.header.Set("Last-Event-ID", last)
		}
		res, err := c.open(ctx, r)
		if err == nil {
			err = read(res.Body, func(m message) error {
				failed = 0
				if err := f(m); err != nil {
					return err
				}
				if m.id != "" {
					last = m.id
				}
				return nil
			})
			res.Body.Close()
		}
		var p *Problem
		switch {
		case errors.Is(err, errEnd):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &p) && p.Status < 500 && p.Status != http.StatusTooManyRequests:
			return err
		}
		if failed++; failed > 60 {
			return fmt.Errorf("the stream of %s broke off: %w", c.base.Host, err)
		}
		if err := c.sleep(ctx, min(time.Duration(failed)*250*time.Millisecond, 3*time.Second)); err != nil {
			return err
		}
	}
}

// FollowLog calls f with the lines of a job's log from a number on, as they come, until the job has ended.
func (c *Client) FollowLog(ctx context.Context, job string, from int64, f func([]jobs.LogLine) error) error {
	last := ""
	if from > 1 {
		last = strconv.FormatInt(from-1, 10)
	}
	return c.follow(ctx, get(path("jobs", job, "log", "follow"), nil), last, func(m message) error {
		switch m.event {
		case "end":
			return errEnd
		case "lines":
			var part struct {
				Lines []jobs.LogLine `json:"lines"`
			}
			if err := json.Unmarshal([]byte(m.data), &part); err != nil {
				return fmt.Errorf("read the log: %w", err)
			}
			return f(part.Lines)
		}
		return nil
	})
}

// Events calls f with events as they happen, from behind the number after (0: from now), until f returns an error or ctx ends. Stop ends
// it without an error.
func (c *Client) Events(ctx context.Context, q url.Values, after int64, f func(store.Event) error) error {
	last := ""
	if after > 0 {
		last = strconv.FormatInt(after, 10)
	}
	return c.follow(ctx, get("/events/stream", q), last, func(m message) error {
		var e store.Event
		if err := json.Unmarshal([]byte(m.data), &e); err != nil {
			return fmt.Errorf("read the events: %w", err)
		}
		return f(e)
	})
}

// Stop, returned by the function that a stream is read by, ends it.
var Stop = errEnd
