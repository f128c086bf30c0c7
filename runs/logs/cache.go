package logs

import (
	"container/list"
	"sync"
)

// chunkKey names what a chunk holds. Lines are never changed, so neither is what a key stands for.
type chunkKey struct {
	job          string
	first, lines int64
}

// cache keeps the chunks that were used last decompressed, up to a limit of bytes. Nobody may change what it holds.
type cache struct {
	limit int64

	mu    sync.Mutex
	held  map[chunkKey]*list.Element
	order list.List // of *cached, the one used last in front
	size  int64
}

type cached struct {
	key chunkKey
	raw []byte
}

func (c *cache) get(key chunkKey) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.held[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).raw, true
}

func (c *cache) put(key chunkKey, raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.held[key]; ok || int64(len(raw)) > c.limit {
		return
	}
	if c.held == nil {
		c.held = map[chunkKey]*list.Element{}
	}
	c.held[key] = c.order.PushFront(&cached{key, raw})
	c.size += int64(len(raw))
	for c.size > c.limit {
		last := c.order.Back()
		old := c.order.Remove(last).(*cached)
		delete(c.held, old.key)
		c.size -= int64(len(old.raw))
	}
}
