package main

import "github.com/spf13/cobra"

const rootLong = `Gantry runs the GitHub Actions workflows that a repository already has, unchanged, on this machine.

Exit codes:
  0    the pipeline succeeded, or the command did what it was asked for
  1    the pipeline failed
  2    a file, a flag or the machine is not fit to run: nothing was run
  130  interrupted`

const rootExample = `  gantry run                      run what a push of HEAD starts
  gantry run --job test           run one job and what it needs
  gantry plan                     show what would run, and why the rest would not
  gantry check                    find mistakes in the workflows`

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
	root.AddCommand(newRunCommand(), newPlanCommand(), newCheckCommand(), newUpCommand(), newRunnerCommand(), newDoctorCommand(), newVersionCommand())
	return root
}
