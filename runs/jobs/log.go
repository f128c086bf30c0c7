package jobs

import (
	"context"
	"io"
	"regexp"
)

// LogQuery says which lines to read. From is the first line's number, from 1; negative: that many from the end. Limit is 1 to 10000;
// 0: 1000.
type LogQuery struct {
	From  int64
	Limit int
}

// LogPage is a range of a job's log.
type LogPage struct {
	Lines []LogLine `json:"lines"`
	// Total is how many lines there are now; Complete: there will be no more.
	Total    int64 `json:"total"`
	Complete bool  `json:"complete"`
}

// LogMatches are lines that a pattern was found in.
type LogMatches struct {
	// Lines are numbers of lines. More: there may be others after Next.
	Lines []int64 `json:"lines"`
	More  bool    `json:"more"`
	Next  int64   `json:"next,omitempty"`
}

// log returns the ID under which a job's log is kept, which is another's where the job was reused, and whether the job has ended.
func (s *Service) log(ctx context.Context, job string) (id string, ended bool, err error) {
	r := &jobRow{}
	if err := find1(ctx, s.o.DB.NewSelect().Column("id", "origin", "status"), job, r); err != nil {
		return "", false, err
	}
	return r.source(), r.Status.Ended(), nil
}

// Log reads a range. Its cost depends on the range, not on the log.
func (s *Service) Log(ctx context.Context, job string, q LogQuery) (*LogPage, error) {
	id, ended, err := s.log(ctx, job)
	if err != nil {
		return nil, err
	}
	p, err := s.logs.Read(ctx, id, q.From, q.Limit)
	if err != nil {
		return nil, err
	}
	out := &LogPage{Lines: p.Lines, Total: p.Total, Complete: p.Complete || ended}
	if out.Lines == nil {
		out.Lines = []LogLine{}
	}
	return out, nil
}

// SearchLog looks for a pattern in the lines from a number on, colours left out, until limit (1 to 10000) were found.
func (s *Service) SearchLog(ctx context.Context, job string, pattern *regexp.Regexp, from int64, limit int) (*LogMatches, error) {
	id, _, err := s.log(ctx, job)
	if err != nil {
		return nil, err
	}
	m, err := s.logs.Search(ctx, id, pattern, from, limit)
	if err != nil {
		return nil, err
	}
	out := &LogMatches{Lines: m.Lines, More: m.More, Next: m.Next}
	if out.Lines == nil {
		out.Lines = []int64{}
	}
	return out, nil
}

// WriteLog writes the whole log as text, each line with its time in front where timestamps is set.
func (s *Service) WriteLog(ctx context.Context, job string, timestamps bool, w io.Writer) error {
	id, _, err := s.log(ctx, job)
	if err != nil {
		return err
	}
	return s.logs.WriteTo(ctx, id, timestamps, w)
}

// WatchLog returns a channel that gets a value when the job's log has grown or ended; by other servers, within a second. A log that is
// that of an earlier attempt grows no more.
func (s *Service) WatchLog(ctx context.Context, job string) <-chan struct{} {
	return s.logs.Watch(ctx, job)
}
