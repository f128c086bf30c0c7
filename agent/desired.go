package agent

import (
	"errors"
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/agent/bundle"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/agent/route"
)

// Desired is what shall be on a host. Who asks for it makes it as a whole each time.
type Desired struct {
	// Generation grows with each change; an older one than the host has is refused.
	Generation int64            `json:"generation"`
	Instances  []Instance       `json:"instances,omitempty"`
	Listeners  []route.Listener `json:"listeners,omitempty"`
	Services   []Service        `json:"services,omitempty"`
	Tasks      []Task           `json:"tasks,omitempty"`
}

// Instance is one of a service's version.
type Instance struct {
	Service string `json:"service"`
	Version string `json:"version"`
	// Bundle is the candidate's digest. The spec's Bundle is not used.
	Bundle string       `json:"bundle"`
	Spec   process.Spec `json:"spec"`
	// Secrets become part of the environment. On disk they are sealed.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Drain is how long whoever uses the instance has when it is not wanted any more; 0 is 30 s.
	Drain time.Duration `json:"drain,omitempty"`
}

const defaultDrain = 30 * time.Second

// Service is how traffic comes to a service's versions. The endpoints of its arms are not used: they are the healthy instances.
type Service struct {
	route.Service
	// Of is the instances' service that traffic goes to, where it has another name: one set of instances serves several ports.
	Of string `json:"of,omitempty"`
	// Port is the name of the instances' port that traffic goes to.
	Port string `json:"port"`
}

// check says what can be seen to be wrong without a host.
func (d Desired) check() error {
	var errs []error
	seen, versions := map[string]bool{}, map[[2]string]bool{}
	for _, s := range d.Services {
		for _, a := range s.Arms {
			versions[[2]string{s.Name, a.Version}] = true
			if len(a.Endpoints) > 0 {
				errs = append(errs, fmt.Errorf("service %s: the endpoints of version %s are the agent's to find", s.Name, a.Version))
			}
		}
		if s.Port == "" {
			errs = append(errs, fmt.Errorf("service %s: it has no port", s.Name))
		}
	}
	for _, i := range d.Instances {
		if seen[i.Spec.ID] {
			errs = append(errs, fmt.Errorf("the instance %s is there twice", i.Spec.ID))
		}
		seen[i.Spec.ID] = true
		if _, err := bundle.ParseDigest(i.Bundle); err != nil {
			errs = append(errs, fmt.Errorf("the instance %s: %w", i.Spec.ID, err))
		}
		if i.Service == "" || i.Version == "" || i.Drain < 0 {
			errs = append(errs, fmt.Errorf("the instance %s: it needs a service, a version, and a time for draining that is not negative", i.Spec.ID))
		}
	}
	for _, t := range d.Tasks {
		if err := t.check(); err != nil {
			errs = append(errs, err)
		}
		if seen[t.ID] {
			errs = append(errs, fmt.Errorf("the task %s has the ID of something else", t.ID))
		}
		seen[t.ID] = true
	}
	return errors.Join(errs...)
}

// Labels of instances.
const (
	LabelService = "service"
	LabelVersion = "version"
	labelBundle  = "bundle"
	labelDrain   = "drain"
)

// spec is what the supervisor is asked for.
func (i Instance) spec(folder string) process.Spec {
	s := i.Spec
	s.Bundle = folder
	s.Secrets = i.Secrets
	drain := i.Drain
	if drain == 0 {
		drain = defaultDrain
	}
	s.Labels = map[string]string{LabelService: i.Service, LabelVersion: i.Version, labelBundle: i.Bundle, labelDrain: drain.String()}
	return s
}

// Observed is what is on a host.
type Observed struct {
	// Generation is that of what is desired; Applied that of the routing table in effect.
	Generation int64            `json:"generation"`
	Applied    int64            `json:"applied"`
	At         time.Time        `json:"at"`
	Instances  []process.Status `json:"instances"`
	// Problems says what keeps the host from being as it is desired, by the instance's ID or "routes".
	Problems map[string]string `json:"problems,omitempty"`
	// Weights are the shares that the traffic of each service really has, by version.
	Weights map[string]map[string]int `json:"weights,omitempty"`
	// Requests are those that ended, by service, version and class of status: "2xx".
	Requests map[string]map[string]map[string]int64 `json:"requests,omitempty"`
	// Addresses are where the listeners are, by name.
	Addresses map[string]string `json:"addresses,omitempty"`
	// Tasks are those that are wanted, by ID.
	Tasks map[string]TaskStatus `json:"tasks,omitempty"`
}
