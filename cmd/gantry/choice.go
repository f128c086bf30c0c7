package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// choiceFlag is a flag that takes one of a few words. It implements pflag.Value.
type choiceFlag struct {
	value   string
	allowed []string
}

func (o *choiceFlag) register(cmd *cobra.Command, allowed ...string) {
	o.value, o.allowed = allowed[0], allowed
	registerChoice(cmd, o, "output", "o", "form of the output: "+strings.Join(allowed, ", "))
}

// String implements pflag.Value.
func (o *choiceFlag) String() string { return o.value }

// Set implements pflag.Value.
func (o *choiceFlag) Set(s string) error {
	if !slices.Contains(o.allowed, s) {
		return fmt.Errorf("must be one of %s", strings.Join(o.allowed, ", "))
	}
	o.value = s
	return nil
}

// Type implements pflag.Value; it stands for the value in the help text.
func (o *choiceFlag) Type() string { return strings.Join(o.allowed, "|") }

// registerChoice adds a flag with a fixed set of values, and their completion.
func registerChoice(cmd *cobra.Command, o *choiceFlag, name, short, usage string) {
	cmd.Flags().VarP(o, name, short, usage)
	complete(cmd, name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return o.allowed, cobra.ShellCompDirectiveNoFileComp
	})
}

// complete registers a completion; the flag's existence is this package's own affair.
func complete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}
