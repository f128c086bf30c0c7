package remote

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/ship"
)

const shipLong = `Ship begins a release: the candidates of a commit go through the environments of gantry.yaml, in their order, service by service.

What was not built yet for the commit is built first, by the pipeline that gantry.yaml names. Each environment opens when its gates do: approvals,
required checks, freezes. A service takes over by its strategy, and is judged while it does; one that is worse than the version before it goes back by
itself, and the release ends there.

Without --watch, ship returns when the release is recorded. With it, ship tells each step, and its exit code is 0 for a release that has come through,
1 for one that has not. Ctrl-C ends the watching, not the release.`

func (r *remote) shipCommand() *cobra.Command {
	t := &target{r: r}
	var q client.Ship
	var name string
	var watch bool
	cmd := &cobra.Command{
		Use: "ship", Short: "Release a commit: build it, and bring it through the environments",
		Long: shipLong,
		Example: "  gantry ship --watch                            the default branch, through all environments\n" +
			"  gantry ship --env staging --ref my-branch      a branch, to staging alone\n" +
			"  gantry ship --service gateway -o json          one service of several",
		Args: args(),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			p, err := findProject(ctx, c, name)
			if err != nil {
				return err
			}
			rel, err := c.Ship(ctx, p, q)
			if err != nil {
				return err
			}
			if !watch {
				return t.show(cmd.OutOrStdout(), rel, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "release %s of %s: %s %s\n%s/releases/%s\n", rel.ID, rel.Project, short(rel.Commit, 12), tables.OneLine(rel.Title), c.URL(), rel.ID)
					return err
				})
			}
			return t.watchRelease(ctx, cmd, c, rel.ID)
		}),
	}
	t.register(cmd)
	f := cmd.Flags()
	f.StringVarP(&name, "project", "p", "", "the `PROJECT` (default: what the gantry.yaml of this folder is called)")
	f.StringVar(&q.Ref, "ref", "", "the branch, tag or commit (default: the default branch)")
	f.StringSliceVar(&q.Environments, "env", nil, "only to these `ENVIRONMENTS` (default: all, in the order of gantry.yaml)")
	f.StringSliceVar(&q.Services, "service", nil, "only these `SERVICES` (default: all)")
	f.BoolVar(&watch, "watch", false, "wait for the end, and tell each step")
	must(cmd.RegisterFlagCompletionFunc("project", t.complete(projectIDs)))
	return cmd
}

// findProject returns the project's ID: as given, or the name in the gantry.yaml of this folder or one above it, where the server has such a project.
func findProject(ctx context.Context, c *client.Client, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := at; ; dir = filepath.Dir(dir) {
		b, err := os.ReadFile(filepath.Join(dir, project.FileName))
		if err == nil {
			p, diags := project.Parse(project.FileName, b)
			if p == nil {
				return "", fmt.Errorf("%s: %w", filepath.Join(dir, project.FileName), diags.Err())
			}
			if p.Name == "" {
				return "", usagef("the %s here has no name; say which project by --project", project.FileName)
			}
			return p.Name, nil
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	all, err := c.Projects(ctx)
	if err != nil {
		return "", err
	}
	if len(all) == 1 {
		return all[0].ID, nil
	}
	return "", usagef("there is no %s here; say which project by --project", project.FileName)
}

// releaseLook is how often a release that is watched is asked for.
const releaseLook = 500 * time.Millisecond

// watchRelease tells the steps of a release until it ends.
func (t *target) watchRelease(ctx context.Context, cmd *cobra.Command, c *client.Client, id string) error {
	said := map[string]string{}
	for {
		rel, err := c.Release(ctx, id)
		if err != nil {
			return err
		}
		for _, line := range ReleaseLines(rel, said) {
			if t.output == "text" {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
		}
		if rel.Status.Ended() {
			if t.output == "json" {
				if err := t.show(cmd.OutOrStdout(), rel, nil); err != nil {
					return err
				}
			}
			if rel.Status != ship.Succeeded {
				return ErrFailed
			}
			return nil
		}
		select {
		case <-ctx.Done():
			fmt.Fprintf(cmd.ErrOrStderr(), "the release goes on; see it by: gantry release show %s\n", id)
			return context.Cause(ctx)
		case <-time.After(releaseLook):
		}
	}
}

// ReleaseLines says in lines what has changed of a release since the last call: said is what was said of each part.
func ReleaseLines(r ship.Release, said map[string]string) []string {
	var out []string
	say := func(part, text string) {
		if text != "" && said[part] != text {
			said[part] = text
			out = append(out, text)
		}
	}
	for _, n := range r.Notes {
		say("note "+n, "note: "+n)
	}
	for _, b := range r.Builds {
		say("build "+b.Run, fmt.Sprintf("build %s: run %s %s", b.Pipeline, b.Run, strings.TrimSpace(string(b.Status)+" "+b.Reason)))
	}
	for _, e := range r.Environments {
		// Of an environment under way its services say what there is to say.
		if e.Reason != "" && e.Status != ship.Running && e.Status != ship.Succeeded {
			say("env "+e.Name, fmt.Sprintf("%-12s %s: %s", e.Name, e.Status, e.Reason))
		}
		for _, s := range e.Services {
			if s.Status == ship.Pending || s.Status == "" {
				continue
			}
			line := fmt.Sprintf("%-12s %-12s %-9s %s", e.Name, s.Service, s.Version, s.Status)
			if s.Reason != "" {
				line += ": " + s.Reason
			}
			say("service "+e.Name+" "+s.Service, line)
		}
	}
	if r.Status.Ended() {
		line := "release " + strconv.Itoa(r.Number) + " " + string(r.Status)
		if r.Reason != "" {
			line += ": " + r.Reason
		}
		say("end", line)
	}
	return out
}

// commands that are given to a release, and what they say of themselves.
var releaseCommands = []struct{ verb, short, long string }{
	{"pause", "Hold a release where it is", "Pause holds the rollouts of a release where they are. What serves goes on to serve; the way back is never held."},
	{"resume", "Go on with a release that is held", "Resume goes on. A rollout that paused because no verdict could be had watches its step again."},
	{"promote", "Go on now, without the time and the verdict of what is watched", "Promote leaves what is watched now: nobody waits for its time, its requests or its verdict. Give the reason."},
	{"abort", "Take a release that is under way back", "Abort takes the new version back everywhere the release has brought it to in the environment, and ends the release."},
	{"rollback", "Bring back what was there before a release", "Rollback brings back the exact candidates and configurations that were there before a release. Of a release that is still warm, it starts no process;\notherwise it is a release of its own, which is watched like any other. It never crosses a contract migration, and says so."},
}

func (r *remote) releaseCommand() *cobra.Command {
	t := &target{r: r}
	list := r.releaseList(t)
	cmd := &cobra.Command{
		Use: "release", Short: "List, show and steer releases",
		Long: "Release lists, shows and steers releases. A RELEASE is its ID, or a project's, which stands for its newest release.",
		Example: "  gantry release                              the newest releases\n  gantry release show meridian                the newest of a project\n" +
			"  gantry release explain meridian             why it went on, or back\n  gantry release approve meridian --env production --comment 'change 4711'\n  gantry release rollback meridian --watch",
		Args: args(), RunE: list.RunE,
	}
	t.register(cmd)
	cmd.AddCommand(list, r.releaseShow(t), r.releaseWatch(t), r.releaseExplain(t), r.releaseDecide(t, true), r.releaseDecide(t, false))
	for _, c := range releaseCommands {
		cmd.AddCommand(r.releaseTell(t, c.verb, c.short, c.long))
	}
	return cmd
}

func (r *remote) releaseList(t *target) *cobra.Command {
	var q ship.Query
	var status []string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "The newest releases first", Example: "  gantry release list --project meridian --env production --status rolled-back", Args: args(),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			q.Status = nil
			for _, s := range status {
				q.Status = append(q.Status, ship.Status(s))
			}
			list, err := c.Releases(ctx, q, max(limit, 1))
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), list, func(w io.Writer) error {
				if len(list) == 0 {
					_, err := fmt.Fprintln(w, "no release matches (gantry ship begins one)")
					return err
				}
				table := [][]string{{"RELEASE", "STATUS", "PROJECT", "COMMIT", "TITLE", "ENVIRONMENTS", "BY", "BEGUN"}}
				for _, rel := range list {
					var in []string
					for _, e := range rel.Environments {
						in = append(in, e.Name)
					}
					table = append(table, []string{rel.ID, string(rel.Status), fmt.Sprintf("%s #%d", rel.Project, rel.Number), short(rel.Commit, 9), short(rel.Title, 40), strings.Join(in, ", "), rel.ActorName, ago(rel.CreatedAt)})
				}
				return tables.Write(w, table...)
			})
		}),
	}
	f := cmd.Flags()
	f.StringSliceVarP(&q.Projects, "project", "p", nil, "only of these `PROJECTS`")
	f.StringSliceVar(&status, "status", nil, "only in these `STATES`: building, waiting, running, paused, returning, succeeded, failed, rolled-back, cancelled")
	f.StringVar(&q.Environment, "env", "", "only those for this `ENVIRONMENT`")
	f.StringVar(&q.Service, "service", "", "only those of this `SERVICE`")
	f.IntVar(&limit, "limit", 20, "how many to show at most")
	must(cmd.RegisterFlagCompletionFunc("project", t.complete(projectIDs)))
	return cmd
}

// findRelease returns a release by its ID, or the newest of a project.
func findRelease(ctx context.Context, c *client.Client, what string) (ship.Release, error) {
	if strings.Trim(what, "0123456789") == "" {
		return c.Release(ctx, what)
	}
	list, err := c.Releases(ctx, ship.Query{Projects: []string{what}}, 1)
	if err != nil {
		return ship.Release{}, err
	}
	if len(list) == 0 {
		return ship.Release{}, fmt.Errorf("%q is no release's ID, and there is no project of this name that has releases (gantry release lists them)", what)
	}
	return c.Release(ctx, list[0].ID)
}

func releaseIDs(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Releases(ctx, ship.Query{}, 20)
	out := make([]string, len(list))
	for i, rel := range list {
		out[i] = cobra.CompletionWithDesc(rel.ID, fmt.Sprintf("%s #%d, %s: %s", rel.Project, rel.Number, rel.Status, tables.OneLine(rel.Title)))
	}
	return out, err
}

func (r *remote) releaseShow(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "show RELEASE", Short: "A release: its environments, their gates, and each rollout", Example: "  gantry release show meridian", Args: args("the release"),
		ValidArgsFunction: firstOnly(t.complete(releaseIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			rel, err := findRelease(ctx, c, args[0])
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), rel, func(w io.Writer) error { return showRelease(w, rel, c.URL()) })
		}),
	}
}

func showRelease(w io.Writer, rel ship.Release, url string) error {
	kind := ""
	if rel.Of != "" {
		kind = ", takes release " + rel.Of + " back"
	}
	head := [][]string{
		{"release", fmt.Sprintf("%s, %s #%d%s", rel.ID, rel.Project, rel.Number, kind)}, {"status", strings.TrimSuffix(string(rel.Status)+": "+rel.Reason, ": ")},
		{"commit", short(rel.Commit, 12) + " " + rel.Title}, {"ref", rel.Ref}, {"begun", ago(rel.CreatedAt) + " by " + rel.ActorName}, {"page", url + "/releases/" + rel.ID},
	}
	for _, n := range rel.Notes {
		head = append(head, []string{"note", n})
	}
	for _, b := range rel.Builds {
		head = append(head, []string{"build", strings.TrimSpace(fmt.Sprintf("run %s %s %s", b.Run, b.Status, b.Reason))})
	}
	if len(rel.May) > 0 {
		head = append(head, []string{"you may", strings.Join(rel.May, ", ")})
	}
	if err := tables.Write(w, head...); err != nil {
		return err
	}
	for _, e := range rel.Environments {
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", e.Name, strings.TrimSuffix(string(e.Status)+", "+tables.OneLine(e.Reason), ", ")); err != nil {
			return err
		}
		if g := e.Gate; g != nil {
			for _, a := range g.Approvals {
				var who []string
				for _, d := range a.Given {
					who = append(who, d.Name)
				}
				role := ""
				if a.Role != "" {
					role = " with the role " + a.Role
				}
				fmt.Fprintf(w, "  approvals%s: %d of %d %s\n", role, len(a.Given), a.Needed, strings.Join(who, ", "))
			}
			for _, q := range g.Required {
				fmt.Fprintf(w, "  requires %s: %s\n", q.Name, q.Reason)
			}
		}
		var table [][]string
		for _, s := range e.Services {
			was := ""
			if s.OldVersion != "" {
				was = "was " + s.OldVersion
			}
			table = append(table, []string{"  " + s.Service, first(s.Version, "-"), was, string(s.Status), s.Reason})
		}
		for _, row := range table {
			fmt.Fprintf(w, "  %-14s %-9s %-13s %-12s %s\n", strings.TrimSpace(row[0]), row[1], row[2], row[3], tables.OneLine(row[4]))
		}
	}
	return nil
}

func (r *remote) releaseWatch(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "watch RELEASE", Short: "Follow a release to its end; the exit code says how it went", Example: "  gantry release watch meridian", Args: args("the release"),
		ValidArgsFunction: firstOnly(t.complete(releaseIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			rel, err := findRelease(ctx, c, args[0])
			if err != nil {
				return err
			}
			return t.watchRelease(ctx, cmd, c, rel.ID)
		}),
	}
}

func (r *remote) releaseExplain(t *target) *cobra.Command {
	var service, environment string
	cmd := &cobra.Command{
		Use: "explain RELEASE", Short: "What was judged of a release, by what, and why", Args: args("the release"),
		Long: "Explain says in words what was judged of each rollout of a release: the samples, the test, its figures, and why that led where it did. Each judgement is\n" +
			"computed again from what was kept of it, and it is said whether the outcome is the same.",
		Example:           "  gantry release explain meridian\n  gantry release explain 12 --env production --service gateway -o json",
		ValidArgsFunction: firstOnly(t.complete(releaseIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			rel, err := findRelease(ctx, c, args[0])
			if err != nil {
				return err
			}
			type explained struct {
				Service     string            `json:"service"`
				Environment string            `json:"environment"`
				Judgement   judge.Judgement   `json:"judgement"`
				Explanation judge.Explanation `json:"explanation"`
			}
			all := []explained{}
			for _, v := range rel.Rollouts {
				if service != "" && v.Service != service || environment != "" && v.Environment != environment {
					continue
				}
				list, err := c.Judgements(ctx, v.ID)
				if err != nil {
					return err
				}
				for _, j := range list {
					e, err := c.Explain(ctx, j.ID)
					if err != nil {
						return err
					}
					all = append(all, explained{v.Service, v.Environment, j, e})
				}
			}
			return t.show(cmd.OutOrStdout(), all, func(w io.Writer) error {
				if len(all) == 0 {
					_, err := fmt.Fprintf(w, "nothing was judged of release %s\n", rel.ID)
					return err
				}
				for i, e := range all {
					if i > 0 {
						fmt.Fprintln(w)
					}
					if _, err := fmt.Fprintf(w, "%s in %s, %s, at %s\n\n%s\n", e.Service, e.Environment, e.Judgement.Kind, e.Judgement.At.UTC().Format(time.RFC3339), strings.TrimSpace(e.Explanation.Text)); err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}
	cmd.Flags().StringVar(&environment, "env", "", "only in this `ENVIRONMENT`")
	cmd.Flags().StringVar(&service, "service", "", "only of this `SERVICE`")
	return cmd
}

func (r *remote) releaseDecide(t *target, approve bool) *cobra.Command {
	verb, summary := "reject", "Refuse a release an environment"
	if approve {
		verb, summary = "approve", "Let a release into an environment"
	}
	var environment, comment string
	cmd := &cobra.Command{
		Use: verb + " RELEASE", Short: summary, Args: args("the release"),
		Long:              summary + ". Nobody decides about a release that they have begun.",
		Example:           "  gantry release " + verb + " meridian --env production --comment 'change 4711'",
		ValidArgsFunction: firstOnly(t.complete(releaseIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			rel, err := findRelease(ctx, c, args[0])
			if err != nil {
				return err
			}
			at, err := waitingIn(&rel, environment)
			if err != nil {
				return err
			}
			if rel, err = c.DecideRelease(ctx, rel.ID, at, approve, comment); err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), rel, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "release %s of %s is %s\n", rel.ID, rel.Project, strings.TrimSuffix(string(rel.Status)+": "+rel.Reason, ": "))
				return err
			})
		}),
	}
	cmd.Flags().StringVar(&environment, "env", "", "the `ENVIRONMENT` (default: the one that waits)")
	cmd.Flags().StringVarP(&comment, "comment", "m", "", "a `TEXT` that is kept with the decision")
	return cmd
}

// waitingIn is the environment that a decision is about: as named, or the one at whose gate the release waits.
func waitingIn(r *ship.Release, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	var waiting []string
	for i := range r.Environments {
		if r.Environments[i].Status == ship.Gated {
			waiting = append(waiting, r.Environments[i].Name)
		}
	}
	switch len(waiting) {
	case 0:
		return "", usagef("release %s waits at no gate: it is %s", r.ID, strings.TrimSuffix(string(r.Status)+": "+r.Reason, ": "))
	case 1:
		return waiting[0], nil
	}
	return "", usagef("release %s waits at several gates; name one by --env: %s", r.ID, strings.Join(waiting, ", "))
}

func (r *remote) releaseTell(t *target, verb, summary, long string) *cobra.Command {
	var tell client.Telling
	var watch bool
	cmd := &cobra.Command{
		Use: verb + " RELEASE", Short: summary, Long: long, Args: args("the release"),
		Example:           "  gantry release " + verb + " meridian",
		ValidArgsFunction: firstOnly(t.complete(releaseIDs)),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
			rel, err := findRelease(ctx, c, args[0])
			if err != nil {
				return err
			}
			if rel, err = c.TellRelease(ctx, rel.ID, verb, tell); err != nil {
				return err
			}
			if watch {
				return t.watchRelease(ctx, cmd, c, rel.ID)
			}
			return t.show(cmd.OutOrStdout(), rel, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "release %s of %s is %s\n", rel.ID, rel.Project, strings.TrimSuffix(string(rel.Status)+": "+rel.Reason, ": "))
				return err
			})
		}),
	}
	f := cmd.Flags()
	if verb != "rollback" {
		f.StringVar(&tell.Environment, "env", "", "only in this `ENVIRONMENT`")
		f.StringVar(&tell.Service, "service", "", "only of this `SERVICE`")
	}
	f.StringVarP(&tell.Reason, "reason", "m", "", "a `TEXT` that is kept with it")
	f.BoolVar(&watch, "watch", false, "follow the release to its end")
	return cmd
}

func (r *remote) statusCommand() *cobra.Command {
	t := &target{r: r}
	var name string
	cmd := &cobra.Command{
		Use: "status", Short: "What runs where: versions, health and traffic",
		Long:    "Status shows each service in each region of each environment: which versions run, how many of their instances are healthy, and how the traffic is shared.",
		Example: "  gantry status\n  gantry status --project meridian -o json", Args: args(),
		RunE: t.run(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			p, err := findProject(ctx, c, name)
			if err != nil {
				return err
			}
			list, err := c.Status(ctx, p)
			if err != nil {
				return err
			}
			return t.show(cmd.OutOrStdout(), list, func(w io.Writer) error {
				if len(list) == 0 {
					_, err := fmt.Fprintf(w, "nothing of %s runs (gantry ship --project %s releases it)\n", p, p)
					return err
				}
				table := [][]string{{"ENVIRONMENT", "REGION", "SERVICE", "VERSION", "COMMIT", "HEALTHY", "TRAFFIC", "SINCE", "PROBLEM"}}
				for _, at := range list {
					for i, v := range at.Versions {
						version := v.Version
						if v.Baseline {
							version += " (baseline)"
						}
						row := []string{at.Environment, at.Region, at.Service, version, short(v.Commit, 9), fmt.Sprintf("%d of %d", v.Healthy, v.Running), fmt.Sprintf("%.4g %%", float64(v.Weight)/100), "", short(first(v.Failed, strings.Join(at.Problems, "; ")), 60)}
						if i == 0 {
							row[7] = ago(at.Since)
						}
						table = append(table, row)
					}
				}
				return tables.Write(w, table...)
			})
		}),
	}
	t.register(cmd)
	cmd.Flags().StringVarP(&name, "project", "p", "", "the `PROJECT` (default: what the gantry.yaml of this folder is called)")
	must(cmd.RegisterFlagCompletionFunc("project", t.complete(projectIDs)))
	return cmd
}
