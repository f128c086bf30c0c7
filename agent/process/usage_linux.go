package process

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// clockTicks of a second in /proc: Linux has told its users 100 on every machine since 2.6.
const clockTicks = 100

// tableAge is how old the list of all processes may be that measurements share: one look for all instances of a scrape.
const tableAge = 500 * time.Millisecond

// table is a list of all processes.
type table struct {
	mu  sync.Mutex
	at  time.Time
	all []stat
}

func (t *table) read() ([]stat, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all != nil && time.Since(t.at) < tableAge {
		return t.all, nil
	}
	all, err := processes()
	if err != nil {
		return nil, err
	}
	t.at, t.all = time.Now(), all
	return all, nil
}

func (p *linuxProcess) usage() (Usage, error) {
	var members []stat
	var err error
	if p.group != nil {
		members, err = p.inGroup()
	} else {
		var all []stat
		if all, err = p.h.table.read(); err == nil {
			members = p.among(all, p.child || p.fd >= 0 && !p.isDone())
		}
	}
	if err != nil {
		return Usage{}, fmt.Errorf("measure %s: %w", p.l.id, err)
	}
	u := Usage{Processes: len(members)}
	var ticks uint64
	for _, s := range members {
		ticks += s.cpu
		u.RSS += s.rss * int64(os.Getpagesize())
		u.Threads += s.threads
		names, err := readNames(procPath(s.pid, "fd"))
		if err != nil {
			if _, gone := readStat(s.pid); gone == nil {
				u.FDs = -1
			}
		} else if u.FDs >= 0 {
			u.FDs += len(names)
		}
	}
	u.CPU = time.Duration(ticks) * time.Second / clockTicks
	if p.group != nil {
		if cpu, ok := p.group.cpu(); ok {
			u.CPU = cpu
		}
	}
	return u, nil
}
