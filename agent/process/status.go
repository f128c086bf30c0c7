package process

import (
	"maps"
	"slices"
	"time"
)

// State of an instance.
type State string

const (
	// Starting: it is being started or runs, and has not passed its check long enough.
	Starting State = "starting"
	// Healthy: it passes its check.
	Healthy State = "healthy"
	// Unhealthy: it was healthy, runs, and fails its check.
	Unhealthy State = "unhealthy"
	// Stopping: it was asked to end, for good or because it is not well.
	Stopping State = "stopping"
	// Crashed: it ended without being asked to, or could not be started, or did not become healthy; nothing of it runs. It is started
	// again at Status.NextStart, unless its spec says otherwise.
	Crashed State = "crashed"
	// Ended: it ended because it was asked to, or with exit code 0 and NoRestart. Nothing of it runs, and it stays so.
	Ended State = "ended"
)

// Status is what an instance is at a moment. It is a copy: nobody else changes it.
type Status struct {
	ID     string            `json:"id"`
	Labels map[string]string `json:"labels,omitempty"`
	State  State             `json:"state"`
	// Reason says in words why the state is what it is.
	Reason string `json:"reason,omitempty"`
	// Since is when the state began.
	Since time.Time `json:"since"`
	// PID of the process, 0 where there is none, and when it was started.
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started,omitzero"`
	// Ports by name. They may change with a restart, where somebody else has taken one.
	Ports map[string]int `json:"ports,omitempty"`
	// Adopted: the process was started by an agent before this one. WasHealthy: it was healthy when that agent last looked.
	Adopted    bool `json:"adopted,omitempty"`
	WasHealthy bool `json:"wasHealthy,omitempty"`
	// Restarts counts starts after the first. Crashes counts those in a row, without a time of health between them.
	Restarts int `json:"restarts"`
	Crashes  int `json:"crashes"`
	// CrashLoop: it has crashed five times in a row or more.
	CrashLoop bool `json:"crashLoop,omitempty"`
	// LastExit says in words how the process before this one, or the last one, ended.
	LastExit string `json:"lastExit,omitempty"`
	// NextStart is when a crashed one is started again.
	NextStart time.Time `json:"nextStart,omitzero"`
	// Limits says of each limit in words by what it is held, or that it is not.
	Limits []string `json:"limits,omitempty"`
	// Health are the last checks, the newest last: up to 20.
	Health []Result `json:"health,omitempty"`
}

// Well says whether the instance may have traffic. One that the agent before has left is what it was until a check says otherwise: were it not, an
// agent's upgrade would move traffic to whichever version is looked at first, and take back a release that is under way.
func (s Status) Well() bool {
	if s.State == Healthy {
		return true
	}
	kept := s.State == Starting && s.Adopted && s.WasHealthy
	return kept && (len(s.Health) == 0 || s.Health[len(s.Health)-1].OK)
}

// Result of one check.
type Result struct {
	At time.Time `json:"at"`
	// Took is how long the check took.
	Took time.Duration `json:"took"`
	OK   bool          `json:"ok"`
	// Reason of a failure, in words.
	Reason string `json:"reason,omitempty"`

	// refused: nothing listens where the check looked, so that it may be worth looking elsewhere.
	refused bool
}

const (
	healthHistory = 20
	crashLoop     = 5
)

func (s Status) clone() Status {
	s.Labels, s.Ports = maps.Clone(s.Labels), maps.Clone(s.Ports)
	s.Limits, s.Health = slices.Clone(s.Limits), slices.Clone(s.Health)
	return s
}

// Usage is what an instance uses: its process and all that came from it.
type Usage struct {
	// CPU is the time on processors since the process was started. Without a cgroup it is that of what lives now and of those that
	// their parents have waited for.
	CPU time.Duration `json:"cpu"`
	// RSS is resident memory in bytes; pages that several share count for each.
	RSS int64 `json:"rss"`
	// FDs are open file descriptors; -1 where they may not be counted.
	FDs       int `json:"fds"`
	Threads   int `json:"threads"`
	Processes int `json:"processes"`
}
