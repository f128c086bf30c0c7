package runs

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
)

// cachedPipelines is how many parsed pipelines are kept.
const cachedPipelines = 512

// source names a pipeline's file at a commit.
type source struct{ project, sha, file string }

// cache keeps parsed pipelines, which are immutable, so that the runs of one commit share them; the one that was not asked for for
// longest goes.
type cache struct {
	most int

	mu    sync.Mutex
	order *list.List
	at    map[source]*list.Element
}

type cached struct {
	source
	p *pipeline.Pipeline
}

func newCache(most int) *cache {
	return &cache{most: most, order: list.New(), at: map[source]*list.Element{}}
}

func (c *cache) get(k source) *pipeline.Pipeline {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[k]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(cached).p
}

func (c *cache) put(k source, p *pipeline.Pipeline) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.at[k]; e != nil {
		e.Value = cached{k, p}
		c.order.MoveToFront(e)
		return
	}
	c.at[k] = c.order.PushFront(cached{k, p})
	for c.order.Len() > c.most {
		e := c.order.Back()
		delete(c.at, c.order.Remove(e).(cached).source)
	}
}

// load returns a run's pipeline, read at the run's commit where this server has not done so yet.
func (s *Service) load(ctx context.Context, p *Project, r *runRow) (*pipeline.Pipeline, error) {
	k := source{r.Project, r.SHA, r.File}
	if pl := s.pipelines.get(k); pl != nil {
		return pl, nil
	}
	snapshot, release, err := s.o.Sources.Snapshot(ctx, p, r.SHA)
	if err != nil {
		return nil, fmt.Errorf("read the files of %s at %s: %w", r.Project, r.SHA, err)
	}
	defer release()
	pl, err := s.o.Formats.Load(ctx, snapshot.Dir, r.File)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", r.File, r.SHA, err)
	}
	s.pipelines.put(k, pl)
	return pl, nil
}
