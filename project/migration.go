package project

import (
	"time"

	"github.com/gantry-ops/gantry/project/internal/bind"
)

// Phase is what a migration means for a rollback.
type Phase string

const (
	// Expand adds to a database what the old version does not mind. It runs before the candidate starts.
	Expand Phase = "expand"
	// Contract takes away what only the old version needs. It runs once the candidate has everything and the old version is gone; no rollback
	// goes back over it.
	Contract Phase = "contract"
)

// Migration is a change of a database. It runs once for each environment, in the order of the list, in the candidate's folder and with the
// service's environment, and has to bear being run again.
type Migration struct {
	Name    string  `json:"name"`
	Phase   Phase   `json:"phase"`
	Command Command `json:"command"`
	// Timeout is how long it may take, 1s to 7d; default 10m.
	Timeout Duration `json:"timeout"`
}

func (m *Migration) value() bind.Value {
	m.Timeout = Duration(10 * time.Minute)
	return bind.Of(bind.Object{
		Def: "migration", What: "a migration",
		Members: []bind.Member{
			{Key: "name", Required: true, Value: name(&m.Name, "the name of a migration"), Doc: "By which it is known to have run; never to be used again."},
			{Key: "phase", Required: true, Value: bind.Words(&m.Phase, "the phase", Expand, Contract), Doc: "`expand` runs before the candidate starts; `contract` once the old version is gone, and no rollback goes back over it."},
			{Key: "command", Required: true, Value: command(&m.Command, "the command"), Doc: "What does it, run in the candidate's folder with the service's environment; it has to bear being run again."},
			{Key: "timeout", Value: duration(&m.Timeout, "the timeout", time.Second, 7*24*time.Hour), Doc: "How long it may take; 1s to 7d."},
		},
	})
}
