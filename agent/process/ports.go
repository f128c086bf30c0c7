package process

import (
	"fmt"
	"slices"
	"sync"
)

// PortRange is from where ports are handed out, both ends included; where both are 0 the kernel chooses.
type PortRange struct {
	From, To int
}

func (r PortRange) check() error {
	if r == (PortRange{}) {
		return nil
	}
	if r.From < 1 || r.To > 65535 || r.From > r.To {
		return fmt.Errorf("port range %d-%d: want 1 to 65535, the smaller first", r.From, r.To)
	}
	return nil
}

// ports knows which port is whose.
type ports struct {
	host host
	from PortRange

	mu    sync.Mutex
	taken map[int]string // by which instance
	next  int            // offset in the range: ports that were in use a moment ago are asked for last
}

// claim marks the ports of a record as taken. Another instance's stay that one's; the next start gets a new one.
func (p *ports) claim(id string, have map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range have {
		if p.taken[port] == "" {
			p.taken[port] = id
		}
	}
}

// release gives back all ports of an instance.
func (p *ports) release(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for port, owner := range p.taken {
		if owner == id {
			delete(p.taken, port)
		}
	}
}

// assign returns a port for each name: the one that the instance has if nobody listens on it, else another. It returns the names whose
// port is another one now, too.
func (p *ports) assign(id string, names []string, have map[string]int) (map[string]int, []string, error) {
	if len(names) == 0 {
		return nil, nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]int{}
	var wanted, moved []string
	for _, name := range names {
		port, ok := have[name]
		if ok && p.taken[port] == id && len(p.host.free([]int{port})) == 1 {
			out[name] = port
			continue
		}
		if ok {
			moved = append(moved, name)
			if p.taken[port] == id {
				delete(p.taken, port)
			}
		}
		wanted = append(wanted, name)
	}
	found, err := p.find(len(wanted))
	if err != nil {
		return nil, nil, err
	}
	for i, name := range wanted {
		out[name] = found[i]
		p.taken[found[i]] = id
	}
	return out, moved, nil
}

func (p *ports) find(n int) ([]int, error) {
	if n == 0 {
		return nil, nil
	}
	if p.from == (PortRange{}) {
		return p.ask(n)
	}
	var found []int
	size := p.from.To - p.from.From + 1
	for range size {
		port := p.from.From + p.next%size
		p.next++
		if p.taken[port] == "" && len(p.host.free([]int{port})) == 1 {
			if found = append(found, port); len(found) == n {
				return found, nil
			}
		}
	}
	return nil, fmt.Errorf("no port is free in %d-%d: %d are handed out, others are in use", p.from.From, p.from.To, len(p.taken))
}

// ask lets the kernel choose. It may choose what an instance that does not listen yet was given before.
func (p *ports) ask(n int) ([]int, error) {
	var found []int
	for range 100 {
		chosen, err := p.host.choose(n)
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		for _, port := range chosen {
			if p.taken[port] == "" && !slices.Contains(found, port) {
				if found = append(found, port); len(found) == n {
					return found, nil
				}
			}
		}
	}
	return nil, fmt.Errorf("find a free port: the kernel gives none but those that are handed out")
}
