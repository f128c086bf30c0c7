package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
)

// agentStatus is what "gantry agent status" says as JSON.
type agentStatus struct {
	// Running says whether an agent works in the folder now; what it runs goes on without one.
	Running bool   `json:"running"`
	Folder  string `json:"folder"`
	link.Status
}

func (o *agentOptions) statusCommand() *cobra.Command {
	form := choiceFlag{value: "text", allowed: []string{"text", "json"}}
	cmd := &cobra.Command{
		Use: "status", Short: "Say what the agent of this host runs, and whether it reaches its server",
		Long: "Status says what the agent of a folder runs: instances with their health and ports, addresses, and who has which share of the traffic. It asks nobody\n" +
			"but the folder, so it works while the server is away.\n\nExit codes: 0 an agent runs; 1 none does, and what was last said is shown; 2 the folder is no agent's.",
		Example: "  gantry agent status\n  gantry agent status --dir /var/lib/gantry-agent -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := o.folder()
			if err != nil {
				return err
			}
			s, err := link.ReadStatus(dir)
			if errors.Is(err, link.ErrNoStatus) {
				return usagef("%s is no agent's folder: no agent has worked there; name another one by --dir", dir)
			}
			if err != nil {
				return err
			}
			running, err := isHeld(dir)
			if err != nil {
				return err
			}
			all := agentStatus{Running: running, Folder: dir, Status: s}
			if form.value == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(all)
			} else {
				err = all.write(cmd.OutOrStdout(), time.Now())
			}
			if err == nil && !running {
				return told(exitFailed)
			}
			return err
		},
	}
	registerChoice(cmd, &form, "output", "o", "form of the output: text, json")
	return cmd
}

// write says all of it to people.
func (s *agentStatus) write(w io.Writer, now time.Time) error {
	state := fmt.Sprintf("runs for %s as process %d", age(now.Sub(s.Started)), s.PID)
	if !s.Running {
		state = fmt.Sprintf("does not run; this is what it said %s ago, and what it has started goes on", age(now.Sub(s.At)))
	}
	if !s.Running && !s.Stopped.IsZero() {
		state = fmt.Sprintf("was stopped %s ago with all that it ran", age(now.Sub(s.Stopped)))
	}
	server := s.Server
	switch {
	case s.Trouble != "" && s.Reached.IsZero():
		server += ", not reached: " + s.Trouble
	case s.Trouble != "":
		server += fmt.Sprintf(", not reached for %s: %s", age(now.Sub(s.Reached)), s.Trouble)
	case s.Running:
		server += ", reached"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = cmp.Or(strings.Join(strings.Fields(cells[i]), " "), "-")
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	row("agent", s.Name+" "+state)
	row("gantry", s.Version)
	row("folder", s.Folder)
	row("server", server)
	row("certificate", "good until "+s.Certificate.Local().Format(time.DateTime))
	if err := t.Flush(); err != nil {
		return err
	}
	o := &s.Observed
	fmt.Fprintln(w)
	switch {
	case !s.Running && !s.Stopped.IsZero():
		fmt.Fprintln(w, "Nothing runs. The next agent starts what was released to this host: gantry agent --dir "+s.Folder)
	case len(o.Instances) == 0:
		fmt.Fprintln(w, "It runs nothing: nothing was released to this host.")
	default:
		row("SERVICE", "VERSION", "INSTANCE", "STATE", "FOR", "RESTARTS", "PORTS", "REASON")
		for _, i := range slices.SortedFunc(slices.Values(o.Instances), byService) {
			row(i.Labels[agent.LabelService], i.Labels[agent.LabelVersion], i.ID, string(i.State), age(now.Sub(i.Since)), fmt.Sprint(i.Restarts), ports(i.Ports), i.Reason)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(o.Addresses) > 0 {
		fmt.Fprintln(w)
		row("LISTENER", "ADDRESS")
		for _, name := range slices.Sorted(maps.Keys(o.Addresses)) {
			row(name, o.Addresses[name])
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(o.Weights) > 0 {
		fmt.Fprintln(w)
		row("TRAFFIC OF", "VERSION", "SHARE")
		for _, service := range slices.Sorted(maps.Keys(o.Weights)) {
			for _, version := range slices.Sorted(maps.Keys(o.Weights[service])) {
				row(service, version, fmt.Sprintf("%g %%", float64(o.Weights[service][version])/100))
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(o.Problems) > 0 {
		fmt.Fprintln(w)
		row("PROBLEM WITH", "")
		for _, what := range slices.Sorted(maps.Keys(o.Problems)) {
			row(what, o.Problems[what])
		}
	}
	return t.Flush()
}

func byService(a, b process.Status) int {
	return cmp.Or(cmp.Compare(a.Labels[agent.LabelService], b.Labels[agent.LabelService]), cmp.Compare(a.Labels[agent.LabelVersion], b.Labels[agent.LabelVersion]), cmp.Compare(a.ID, b.ID))
}

func ports(all map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, fmt.Sprintf("%s %d", name, all[name]))
	}
	return strings.Join(list, ", ")
}

// age is a length of time in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}
