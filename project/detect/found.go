package detect

import (
	"fmt"
	"slices"
)

// Found is what there is in a repository.
type Found struct {
	// Name is the project's, made of the folder's name.
	Name     string     `json:"name"`
	Services []*Service `json:"services"`
	// Pipelines are CI files.
	Pipelines []*Pipeline `json:"pipelines"`
	// Left are things that could have been services and are not, with the reason.
	Left []Fact `json:"left_out"`
}

// Fact is something that was seen or guessed.
type Fact struct {
	// What is the member of gantry.yaml that it is about: "port", "health".
	What  string `json:"what"`
	Value string `json:"value"`
	// File and Line are where it stands; empty where it does not stand anywhere.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Guess is set where it does not follow from what stands there; Why says what was thought.
	Guess bool   `json:"guess"`
	Why   string `json:"why,omitempty"`
}

// String says a fact in a line.
func (f Fact) String() string {
	s := f.What + " " + f.Value
	if f.File != "" {
		s += " (" + f.place() + ")"
	}
	if f.Why != "" {
		s += ": " + f.Why
	}
	return s
}

func (f Fact) place() string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return f.File
}

// Service is a program that may be released.
type Service struct {
	Name string `json:"name"`
	// Path is its folder, "." for the top.
	Path     string   `json:"path"`
	Pipeline string   `json:"pipeline,omitempty"`
	Artifact string   `json:"artifact"`
	Command  []string `json:"command,omitempty"`
	Shell    string   `json:"shell,omitempty"`
	// Protocol is http or grpc; Port is 0 where it listens on none.
	Protocol string   `json:"protocol,omitempty"`
	Port     int      `json:"port,omitempty"`
	Health   string   `json:"health,omitempty"`
	Metrics  string   `json:"metrics,omitempty"`
	Needs    []string `json:"needs,omitempty"`
	// FixedPort: nothing in the code reads PORT, so that it may not listen where the agent tells it to.
	FixedPort bool   `json:"fixed_port,omitempty"`
	Facts     []Fact `json:"facts"`
}

func (s *Service) fact(f Fact) { s.Facts = append(s.Facts, f) }

// Pipeline is a CI file.
type Pipeline struct {
	File      string     `json:"file"`
	Artifacts []Artifact `json:"artifacts,omitempty"`
}

// Artifact is what a CI file uploads.
type Artifact struct {
	Name string `json:"name"`
	// Path is the file or folder that it is made of, where that is one.
	Path string `json:"path,omitempty"`
	Line int    `json:"line"`
}

// service returns the service of a name, or nil.
func (f *Found) service(name string) *Service {
	if i := slices.IndexFunc(f.Services, func(s *Service) bool { return s.Name == name }); i >= 0 {
		return f.Services[i]
	}
	return nil
}

// at returns the services of a folder.
func (f *Found) at(dir string) []*Service {
	var out []*Service
	for _, s := range f.Services {
		if s.Path == dir {
			out = append(out, s)
		}
	}
	return out
}

// add gives a service a name of its own.
func (f *Found) add(s *Service) {
	base := s.Name
	for n := 2; f.service(s.Name) != nil; n++ {
		s.Name = fmt.Sprintf("%s-%d", base, n)
	}
	f.Services = append(f.Services, s)
}
