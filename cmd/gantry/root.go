package main

import (
	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/cmd/gantry/internal/remote"
)

const rootLong = `Gantry runs the GitHub Actions workflows that a repository already has, unchanged: on this machine by "gantry run", and on pushes,
schedules and by hand by the server that "gantry up" starts.

Exit codes:
  0    the pipeline succeeded, or the command did what it was asked for
  1    the pipeline failed
  2    a file, a flag, the machine or a server's refusal kept it from being done
  130  interrupted`

const rootExample = `  gantry run                      run what a push of HEAD starts
  gantry run --job test           run one job and what it needs
  gantry plan                     show what would run, and why the rest would not
  gantry up                       start the server
  gantry login URL                sign in to a server
  gantry runs start gateway       start a run there; gantry logs -f gateway follows it`

// The groups of commands in the help text.
const (
	groupLocal  = "local"
	groupServer = "server"
)

// grouped puts commands under a heading of the help text.
func grouped(group string, cmds ...*cobra.Command) []*cobra.Command {
	for _, cmd := range cmds {
		cmd.GroupID = group
	}
	return cmds
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "gantry",
		Short:         "Run the workflows that a repository already has",
		Long:          rootLong,
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddGroup(
		&cobra.Group{ID: groupLocal, Title: "On this machine, without a server:"},
		&cobra.Group{ID: groupServer, Title: "Be a server, or work for one:"},
		&cobra.Group{ID: remote.Group, Title: "Speak to a server:"},
	)
	root.AddCommand(grouped(groupLocal, newRunCommand(), newPlanCommand(), newCheckCommand(), newInitCommand())...)
	root.AddCommand(grouped(groupServer, newUpCommand(), newRunnerCommand(), newAgentCommand(), newDoctorCommand())...)
	root.AddCommand(remote.Commands(remote.Options{
		Agent: "gantry/" + currentVersion().Version, IsTerminal: isTerminal, Color: colorful,
	})...)
	root.AddCommand(newVersionCommand())
	return root
}
