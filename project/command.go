package project

import (
	"github.com/gantry-ops/gantry/project/internal/bind"
)

// Command is a program with its arguments, or a line for a shell.
type Command struct {
	// Args is the program and its arguments, as they are: no shell reads them. A program with a slash in it is looked for in the candidate's
	// folder, one without in PATH.
	Args []string `json:"args,omitempty"`
	// Shell is a line for /bin/sh -c; only what asks for a shell gets one.
	Shell string `json:"shell,omitempty"`
}

// IsZero reports whether there is no command.
func (c Command) IsZero() bool { return len(c.Args) == 0 && c.Shell == "" }

// Argv returns the program and its arguments, with the shell where one was asked for.
func (c Command) Argv() []string {
	if c.Shell != "" {
		return []string{"/bin/sh", "-c", c.Shell}
	}
	return c.Args
}

func command(dst *Command, what string) bind.Value {
	list := bind.Items(&dst.Args, what, 1, func(s *string) bind.Value { return bind.String(s, "an argument") })
	shell := bind.Of(bind.Object{
		What: "a command", Members: []bind.Member{
			{Key: "shell", Required: true, Value: bind.String(&dst.Shell, "the shell's line"), Doc: "A line for `/bin/sh -c`."},
		},
		Choices: []bind.Choice{{Keys: []string{"shell"}, Reset: func() { *dst = Command{} }}},
	})
	return bind.Either(what, list.Then(func() { dst.Shell = "" }), shell).
		Form("a list of the program and its arguments").
		Hint(`write [program, argument], or {shell: "a line"} where a shell has to read it`)
}
