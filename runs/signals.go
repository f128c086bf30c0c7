package runs

import "sync"

// signals wake those in this process that wait for something about a run to change. What other servers change is found by looking again.
type signals struct {
	mu   sync.Mutex
	runs map[int64]chan struct{}
}

// of returns the channel of a run that is coordinated here; it gets a value when there may be news. stop ends it.
func (s *signals) of(run int64) (news <-chan struct{}, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs == nil {
		s.runs = map[int64]chan struct{}{}
	}
	ch := make(chan struct{}, 1)
	s.runs[run] = ch
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.runs[run] == ch {
			delete(s.runs, run)
		}
	}
}

// tell says that there may be news of a run.
func (s *signals) tell(run int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.runs[run] <- struct{}{}:
	default:
	}
}
