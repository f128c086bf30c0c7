package remote

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
	"github.com/gantry-ops/gantry/fleet"
)

const agentsLong = `Agents lists the hosts that workloads run on, lets others join, and takes them out.

A host joins by "gantry agent" with a token that is used once. It is known by its certificate from then on, and serves on while the server is away.`

func (r *remote) agentsCommand() *cobra.Command {
	t := &target{r: r}
	list := &cobra.Command{
		Use: "list", Short: "The hosts that workloads run on", Example: "  gantry agents list -o json", Args: args(),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			all, err := c.Agents(ctx)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), all, func(w io.Writer) error {
				if len(all) == 0 {
					_, err := fmt.Fprintln(w, "no host has joined (gantry agents add lets one in)")
					return err
				}
				table := [][]string{{"AGENT", "STATE", "INSTANCES", "LABELS", "MACHINE", "VERSION", "SEEN", "PROBLEMS"}}
				for _, a := range all {
					table = append(table, []string{a.Name, a.State, healthyOf(a.Instances), pairs(a.Info.Labels), strings.Trim(a.Info.OS+"/"+a.Info.Arch, "/"), a.Info.Version, ago(a.SeenAt), problems(a.Problems)})
				}
				return tables.Write(w, table...)
			})
		}),
	}
	show := &cobra.Command{
		Use: "show AGENT", Short: "One host, with its instances", Example: "  gantry agents show eu-1", Args: args("the agent"),
		ValidArgsFunction: firstOnly(t.complete(agentNames)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			a, err := c.Agent(ctx, args[0])
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), a, func(w io.Writer) error { return showAgent(w, a) })
		}),
	}
	cmd := &cobra.Command{
		Use: "agents", Short: "List, add and remove the hosts that workloads run on", Long: agentsLong,
		Example: "  gantry agents\n  gantry agents add eu-1 --label region=eu > eu-1.token\n  gantry agents logs eu-1 gateway-0a1b2c3d-1", Args: args(), RunE: list.RunE,
	}
	t.register(cmd)
	cmd.AddCommand(list, show, r.agentsAdd(t), r.agentsRemove(t), r.agentsLogs(t))
	return cmd
}

func (r *remote) agentsAdd(t *target) *cobra.Command {
	var labels map[string]string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make the token that a host joins by", Args: args("the agent's name"),
		Long:    "Add prints a token, once: it is kept as a hash and cannot be shown again. A host joins by it, once.",
		Example: "  gantry agents add eu-1 --label region=eu > eu-1.token\n  gantry agent --server https://ci.example.com:7071 --token-file eu-1.token      # on the host",
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			made, err := c.MakeAgentToken(ctx, args[0], labels, int(ttl.Seconds()))
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), made, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, made.Token)
				return err
			})
		}),
	}
	cmd.Flags().StringToStringVar(&labels, "label", nil, "labels that targets may ask for, as `KEY=VALUE`; without any, the host says them itself")
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "how long the token may be used (default: an hour)")
	return cmd
}

func (r *remote) agentsRemove(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "remove AGENT", Short: "Take a host out; its certificate is refused from then on", Args: args("the agent"),
		Long:              "Remove takes a host out. What runs there runs on until somebody ends it on the host, by: gantry agent stop",
		Example:           "  gantry agents remove eu-1",
		ValidArgsFunction: firstOnly(t.complete(agentNames)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.RemoveAgent(ctx, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is removed\n", args[0])
			return nil
		}),
	}
}

func (r *remote) agentsLogs(t *target) *cobra.Command {
	var tail int
	cmd := &cobra.Command{
		Use: "logs AGENT INSTANCE", Short: "The last lines that an instance has written", Args: args("the agent", "the instance"),
		Example: "  gantry agents logs eu-1 gateway-0a1b2c3d-1 --tail 50",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return t.complete(agentNames)(cmd, args, prefix)
			case 1:
				return t.complete(func(ctx context.Context, c *client.Client) ([]string, error) {
					a, err := c.Agent(ctx, args[0])
					var out []string
					for _, i := range a.Instances {
						out = append(out, cobra.CompletionWithDesc(i.ID, string(i.State)))
					}
					return out, err
				})(cmd, args, prefix)
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			lines, err := c.InstanceLog(ctx, args[0], args[1], tail)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), lines, func(w io.Writer) error {
				for _, l := range lines {
					if _, err := fmt.Fprintf(w, "%s %s\n", l.Time.UTC().Format("15:04:05.000"), tables.OneLine(l.Text)); err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}
	cmd.Flags().IntVar(&tail, "tail", 200, "how many lines at most, up to 5000")
	return cmd
}

func agentNames(ctx context.Context, c *client.Client) ([]string, error) {
	all, err := c.Agents(ctx)
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = cobra.CompletionWithDesc(a.Name, a.State)
	}
	return out, err
}

// healthyOf counts instances that are healthy.
func healthyOf(all []process.Status) string {
	if len(all) == 0 {
		return ""
	}
	n := 0
	for _, i := range all {
		if i.Well() {
			n++
		}
	}
	return fmt.Sprintf("%d of %d healthy", n, len(all))
}

func pairs(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// problems are the first of them in words.
func problems(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, k+": "+v)
	}
	slices.Sort(out)
	if len(out) > 1 {
		out = []string{out[0], fmt.Sprintf("and %d more", len(out)-1)}
	}
	return short(strings.Join(out, "; "), 80)
}

func showAgent(w io.Writer, a fleet.Agent) error {
	head := [][]string{
		{"agent", a.Name}, {"state", a.State + ", seen " + first(ago(a.SeenAt), "never")}, {"machine", strings.TrimSpace(fmt.Sprintf("%s %s/%s, %d CPUs", a.Info.Hostname, a.Info.OS, a.Info.Arch, a.Info.CPUs))},
		{"version", a.Info.Version}, {"labels", pairs(a.Info.Labels)}, {"joined", ago(a.JoinedAt)}, {"certificate", "until " + a.CertificateExpiresAt.UTC().Format(time.DateOnly)},
		{"generation", fmt.Sprintf("%d, routes of %d", a.Generation, a.Applied)},
	}
	for _, name := range sortedKeys(a.Addresses) {
		head = append(head, []string{"listens", a.Addresses[name] + " " + name})
	}
	for _, name := range sortedKeys(a.Problems) {
		head = append(head, []string{"problem", name + ": " + a.Problems[name]})
	}
	if err := tables.Write(w, head...); err != nil || len(a.Instances) == 0 {
		return err
	}
	table := [][]string{{"INSTANCE", "STATE", "SINCE", "PID", "PORTS", "RESTARTS", "REASON"}}
	for _, i := range a.Instances {
		var ports []string
		for _, name := range sortedKeys(i.Ports) {
			ports = append(ports, fmt.Sprintf("%s=%d", name, i.Ports[name]))
		}
		pid := ""
		if i.PID > 0 {
			pid = fmt.Sprint(i.PID)
		}
		table = append(table, []string{i.ID, string(i.State), tables.Span(time.Since(i.Since)), pid, strings.Join(ports, " "), fmt.Sprint(i.Restarts), first(i.Reason, i.LastExit)})
	}
	fmt.Fprintln(w)
	return tables.Write(w, table...)
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
