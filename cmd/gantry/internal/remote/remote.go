// Package remote has the commands that speak to a Gantry server from anywhere: sign in, look at runs and logs, start, approve, cancel and
// re-run, keep secrets, add runners.
//
// They use the public API by its Go client and nothing else. What they are asked for goes to standard output, as text for people or
// as the API's own JSON; people are spoken to on standard error.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/api/client"
)

// UsageError is a command line that cannot be understood.
type UsageError struct{ error }

func usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// ErrFailed ends a command that was asked to wait for a run or a job that then did not succeed. All has been said.
var ErrFailed = errors.New("the run did not succeed")

// Options are what the commands need of the program.
type Options struct {
	// Agent names the program to servers: "gantry/1.4.0".
	Agent string
	// IsTerminal says whether a file is one, Color whether it may be written to in colours.
	IsTerminal func(*os.File) bool
	Color      func(*os.File) bool
}

// Group is the heading under which the commands stand in the help text.
const Group = "remote"

// Commands returns the commands.
func Commands(o Options) []*cobra.Command {
	r := &remote{o: o}
	out := []*cobra.Command{
		r.loginCommand(), r.logoutCommand(), r.projectsCommand(), r.runsCommand(), r.logsCommand(), r.decideCommand(true), r.decideCommand(false),
		r.cancelCommand(), r.rerunCommand(), r.secretsCommand(), r.runnersCommand(),
		r.shipCommand(), r.releaseCommand(), r.statusCommand(), r.agentsCommand(),
	}
	for _, cmd := range out {
		cmd.GroupID = Group
	}
	return out
}

type remote struct{ o Options }

// target is the server that a command speaks to, and the form in which it answers.
type target struct {
	r      *remote
	server string
	output string
}

// register adds the flags that all commands of a server have.
func (t *target) register(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&t.server, "server", "", "the server's `URL` (default: GANTRY_SERVER, or where you signed in last)")
	cmd.PersistentFlags().StringVarP(&t.output, "output", "o", "text", "form of the output: text, json")
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error {
		if t.output != "text" && t.output != "json" {
			return usagef("--output %s: must be text or json", t.output)
		}
		return nil
	}
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("server", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		l, _ := readLogins()
		return l.urls(), cobra.ShellCompDirectiveNoFileComp
	}))
}

// must is for registrations that fail only where this package names a flag that it does not have.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// open finds the server and the token for it: GANTRY_TOKEN, or what a sign-in has left.
func (t *target) open() (*client.Client, error) {
	l, err := readLogins()
	if err != nil {
		return nil, err
	}
	server, err := address(first(t.server, os.Getenv("GANTRY_SERVER"), l.Current))
	if err != nil {
		return nil, err
	}
	token := os.Getenv("GANTRY_TOKEN")
	if token == "" {
		token = l.Servers[server].Token
	}
	switch {
	case server == "":
		return nil, errors.New("you are not signed in to a server; sign in by: gantry login https://ci.example.com")
	case token == "":
		return nil, fmt.Errorf("you are not signed in to %s; sign in by: gantry login %s", server, server)
	}
	return client.New(client.Options{URL: server, Token: token, Agent: t.r.o.Agent})
}

func first(texts ...string) string {
	i := slices.IndexFunc(texts, func(s string) bool { return s != "" })
	if i < 0 {
		return ""
	}
	return texts[i]
}

// explain says what to do about the refusals of a server.
func explain(c *client.Client, err error) error {
	var p *client.Problem
	if !errors.As(err, &p) {
		return err
	}
	switch p.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%s does not know your token, or it has expired; sign in again by: gantry login %s", c.URL(), c.URL())
	case http.StatusForbidden:
		if p.Type == client.AnotherPerson {
			return err
		}
		return fmt.Errorf("%w (an administrator of %s can give you the role)", err, c.URL())
	}
	return err
}

// run is a command that asks the server: it is ended by Ctrl-C, and its refusals say what to do.
func (t *target) run(f func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := t.open()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return explain(c, f(ctx, cmd, c, args))
	}
}

// show writes what was asked for: the value as JSON, or as text.
func (t *target) show(w io.Writer, value any, text func(w io.Writer) error) error {
	if t.output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(value)
	}
	return text(w)
}

// args checks the number of arguments, and names what is missing.
func args(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, given []string) error {
		switch {
		case len(given) < len(names):
			return usagef("%s is missing", names[len(given)])
		case len(given) > len(names):
			return usagef("unexpected argument %q", given[len(names)])
		}
		return nil
	}
}

// completion is how long a server has to answer while somebody waits for the shell to complete a word.
const completion = 1500 * time.Millisecond

// complete offers words that a server knows. Where it does not answer, there are none.
func (t *target) complete(f func(context.Context, *client.Client) ([]string, error)) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		c, err := t.open()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), completion)
		defer cancel()
		words, _ := f(ctx, c)
		return slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, prefix) }), cobra.ShellCompDirectiveNoFileComp
	}
}

// firstOnly offers words for the first argument alone.
func firstOnly(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, prefix)
	}
}
