package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gantry-ops/gantry/agent"
)

// statusFile has what the agent of a folder says of itself.
const statusFile = "status.json"

// statusEvery is how often that is written while nothing changes.
const statusEvery = 5 * time.Second

// ErrNoStatus: no agent has ever worked in the folder.
var ErrNoStatus = errors.New("no agent has worked here")

// Status is what an agent says of itself to who asks on its own host, whether the server is there or not. It is in the agent's folder and stays there when
// the agent has ended.
type Status struct {
	Name string `json:"name"`
	// Server is the URL that it joined at.
	Server  string `json:"server"`
	Version string `json:"version"`
	PID     int    `json:"pid"`
	// Started is when the agent's process began to work, At when it said this.
	Started time.Time `json:"started"`
	At      time.Time `json:"at"`
	// Reached is when the server last took a report of this process; zero is never. Trouble says why it does not take them now.
	Reached time.Time `json:"reached,omitzero"`
	Trouble string    `json:"trouble,omitempty"`
	// Certificate is until when the one that the agent is known by is good. It is renewed after two thirds of its life.
	Certificate time.Time `json:"certificate"`
	// Stopped is when somebody has ended all that the agent had started; zero is never. The next agent starts it again.
	Stopped  time.Time      `json:"stopped,omitzero"`
	Observed agent.Observed `json:"observed"`
}

// ReadStatus reads what the agent of a folder has last said of itself, or [ErrNoStatus].
func ReadStatus(dir string) (Status, error) {
	var s Status
	name := filepath.Join(dir, statusFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s, ErrNoStatus
	}
	if err == nil {
		if err = json.Unmarshal(b, &s); err != nil {
			err = fmt.Errorf("%s is damaged: %w", name, err)
		}
	}
	return s, err
}

// TellStopped says in a folder that all that its agent had started was ended.
func TellStopped(dir string, at time.Time) error {
	s, err := ReadStatus(dir)
	if err != nil {
		return err
	}
	s.At, s.Stopped, s.Trouble = at, at, ""
	s.Observed.Instances, s.Observed.Addresses, s.Observed.Weights, s.Observed.Problems = nil, nil, nil, nil
	return (&teller{dir: dir}).tell(s)
}

// teller writes the status where something has changed, or has not been said for long.
type teller struct {
	dir       string
	said      string
	at        time.Time
	complains bool
}

// tell writes a status. What is new in it is told by its signature. There is no fsync: after a power failure there is no agent that it could be of.
func (t *teller) tell(s Status) error {
	sign := fmt.Sprintf("%s %s %v", signature(s.Observed), s.Trouble, s.Certificate)
	if passed := s.At.Sub(t.at); sign == t.said && passed >= 0 && passed < statusEvery {
		return nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	name := filepath.Join(t.dir, statusFile)
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	t.said, t.at = sign, s.At
	return nil
}

// tell says how the agent is, to who asks on its host.
func (a *running) tell(t *teller, o agent.Observed, reached time.Time, trouble error) {
	id := a.client.id.Load()
	s := Status{
		Name: id.Name, Server: id.Server, Version: a.Info.Version, PID: os.Getpid(), Started: a.started, At: a.Now(), Reached: reached,
		Certificate: id.pair.Leaf.NotAfter, Observed: o,
	}
	if trouble != nil {
		s.Trouble = trouble.Error()
	}
	err := t.tell(s)
	if err != nil && !t.complains {
		a.Log.Warn("what the agent says of itself cannot be written", "error", err)
	}
	t.complains = err != nil
}
