package project

import (
	"time"

	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Check is how the health of an instance is asked for.
type Check string

const (
	// CheckNone takes an instance for healthy that runs.
	CheckNone Check = "none"
	// CheckHTTP wants a status from 200 to 299.
	CheckHTTP Check = "http"
	// CheckTCP wants a connection.
	CheckTCP Check = "tcp"
	// CheckCommand wants the exit code 0.
	CheckCommand Check = "command"
)

// Health says when an instance is healthy.
type Health struct {
	Check Check `json:"check"`
	// HTTP is the path that is asked.
	HTTP    string  `json:"http,omitempty"`
	Command Command `json:"command,omitzero"`
	// Port is the name of the port that is asked; for CheckHTTP and CheckTCP.
	Port string `json:"port,omitempty"`
	// Interval is the time between two checks, 100ms to 1h; default 2s.
	Interval Duration `json:"interval"`
	// Timeout is how long a check may take, 10ms to 5m; default 2s.
	Timeout Duration `json:"timeout"`
	// Passes is how many checks have to pass in a row, 1 to 100; default 2.
	Passes int `json:"passes"`
	// Failures is how many checks in a row make a healthy instance unhealthy, 1 to 100; default 3.
	Failures int `json:"failures"`
	// MinHealthy is how long an instance has to be healthy before it counts, 0 to 1h; default 5s.
	MinHealthy Duration `json:"min_healthy"`
	// Deadline is how long an instance may take from its start until it counts as healthy, 1s to 24h; default 60s.
	Deadline Duration `json:"deadline"`
}

func defaultHealth() Health {
	return Health{
		Interval: Duration(2 * time.Second), Timeout: Duration(2 * time.Second), Passes: 2, Failures: 3,
		MinHealthy: Duration(5 * time.Second), Deadline: Duration(time.Minute),
	}
}

var (
	healthText  = lazy.New(`^(none|tcp|/[!-~]*)$`)
	metricsText = lazy.New(`^(none|/[!-~]*)$`)
)

// become makes it a check of a kind, and takes back what another kind had.
func (h *Health) become(c Check) func() {
	return func() { h.Check = c }
}

func (h *Health) value() bind.Value {
	reset := func() { h.Check, h.HTTP, h.Command = "", "", Command{} }
	var tcp bool
	path := urlPath(&h.HTTP, "the health path").Then(h.become(CheckHTTP))
	short := bind.OneText("the health check", "a path, tcp or none", healthText, func(text string) {
		reset()
		switch text {
		case "none", "tcp":
			h.Check = Check(text)
		default:
			h.Check, h.HTTP = CheckHTTP, text
		}
	})
	return bind.Either("the health check", short, bind.Of(bind.Object{
		Def: "health", What: "the health check",
		Members: []bind.Member{
			{Key: "http", Value: path, Doc: "A path that answers with a status from 200 to 299."},
			{Key: "tcp", Value: bind.Flag(&tcp, "tcp").Then(func() {
				if h.Check = CheckNone; tcp {
					h.Check = CheckTCP
				}
			}), Doc: "True: the port takes connections. The default where there is a port."},
			{Key: "command", Value: command(&h.Command, "the health command").Then(h.become(CheckCommand)), Doc: "A command that exits with 0, run in the instance's folder and environment."},
			{Key: "port", Value: name(&h.Port, "the port"), Doc: "The name of the port that is asked. Default: the first one that fits."},
			{Key: "interval", Value: duration(&h.Interval, "the interval", 100*time.Millisecond, time.Hour), Doc: "Between two checks; 100ms to 1h."},
			{Key: "timeout", Value: duration(&h.Timeout, "the timeout", 10*time.Millisecond, 5*time.Minute), Doc: "How long a check may take; 10ms to 5m."},
			{Key: "passes", Value: bind.Int(&h.Passes, "passes", 1, 100), Doc: "How many checks have to pass in a row."},
			{Key: "failures", Value: bind.Int(&h.Failures, "failures", 1, 100), Doc: "How many checks have to fail in a row before a healthy instance is taken out."},
			{Key: "min-healthy", Value: duration(&h.MinHealthy, "min-healthy", 0, time.Hour), Doc: "How long an instance has to stay healthy before it counts; up to 1h."},
			{Key: "deadline", Value: duration(&h.Deadline, "the deadline", time.Second, 24*time.Hour), Doc: "How long it may take from the start until it counts; 1s to 24h."},
		},
		Choices: []bind.Choice{{Keys: []string{"http", "tcp", "command"}, Reset: reset}},
	}))
}

// Metrics says where a workload's own Prometheus metrics are.
type Metrics struct {
	// Path is empty where there are none.
	Path string `json:"path,omitempty"`
	// Port is the name of a port; default: the first of HTTP.
	Port string `json:"port,omitempty"`
	// Interval is the time between two scrapes, 1s to 1h; default 15s. During a release it is the analysis' where that is shorter.
	Interval Duration `json:"interval,omitempty"`
}

func (m *Metrics) value() bind.Value {
	path := urlPath(&m.Path, "the metrics path")
	short := bind.OneText("metrics", "a path or none", metricsText, func(text string) {
		if m.Path = text; text == "none" {
			m.Path = ""
		}
	})
	return bind.Either("metrics", short, bind.Of(bind.Object{
		Def: "metrics", What: "metrics",
		Members: []bind.Member{
			{Key: "path", Value: path, Doc: "Where the metrics are, in Prometheus' text or protobuf form. Default: `/metrics`."},
			{Key: "port", Value: name(&m.Port, "the port"), Doc: "The name of a port. Default: the first of HTTP."},
			{Key: "interval", Value: duration(&m.Interval, "the interval", time.Second, time.Hour), Doc: "Between two scrapes; 1s to 1h. Default: 15s; during a release the analysis' interval where that is shorter."},
		},
	}).Before(func() {
		if m.Path == "" {
			m.Path = "/metrics"
		}
	}))
}
