package agent

import "time"

// Task is something that is done once on a host, beside its instances: a program that runs to its end, or a question to instances that run. One of
// Instance and HTTP is set.
type Task struct {
	// ID names it for ever; what is asked for again is not done again. It has the form of an instance's.
	ID string `json:"id"`
	// Instance says what to run: its candidate, and of its Spec the arguments, the environment and the limits.
	Instance *Instance  `json:"instance,omitempty"`
	HTTP     *HTTPCheck `json:"http,omitempty"`
	// Timeout is how long it may take.
	Timeout time.Duration `json:"timeout"`
}

// HTTPCheck asks every wanted instance of a version, by GET.
type HTTPCheck struct {
	Service string `json:"service"`
	Version string `json:"version"`
	// Port is the name of the port that is asked.
	Port string `json:"port"`
	Path string `json:"path"`
	// Status is the one that is wanted.
	Status int `json:"status"`
}

// States of a task.
const (
	TaskRunning   = "running"
	TaskSucceeded = "succeeded"
	TaskFailed    = "failed"
)

// TaskStatus is how a task is, or has ended.
type TaskStatus struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Output is the end of what it has said, up to 4 KiB.
	Output string `json:"output,omitempty"`
}
