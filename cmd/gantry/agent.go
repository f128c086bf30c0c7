package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/link"
)

const agentLong = `Agent runs what a server releases to this host: it starts candidates beside each other, checks them, owns the public addresses, hands the traffic over,
and restarts what crashes.

A host joins once, by a token that "gantry agents add NAME" makes. From then on the agent is known by a certificate of its own, which it renews; what it
has to be is in its folder, so that it serves on while the server is away, and after a restart of the machine.

SIGTERM or Ctrl-C ends the agent and not what it runs: the next agent on the same folder takes the workloads up again. To change to another version of
gantry, start it on the same folder: it takes over listeners and workloads from the one that runs, which ends when its last connection has.

"gantry agent status" says what the host has, also while the server is away; "gantry agent stop" ends the agent of a folder with everything that it runs.

Exit codes: 0 stopped, or another agent has taken over; 2 it could not be started.`

// agentOptions are what an agent is made of, as flags give them.
type agentOptions struct {
	dir, server, name string
	token, tokenFile  string
	labels            map[string]string
	logFormat         choiceFlag
	acceptTerms       bool
}

func newAgentCommand() *cobra.Command {
	o := &agentOptions{}
	cmd := &cobra.Command{
		Use: "agent", Short: "Run what a server releases on this host",
		Long: agentLong,
		Example: "  gantry agent --server https://ci.example.com:7071 --token-file eu-1.token     join, and run\n" +
			"  gantry agent                                                                  run again, as who has joined before\n" +
			"  gantry agent --dir /var/lib/gantry-agent --label region=eu --label disk=ssd",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// GANTRY_SERVER and GANTRY_TOKEN are of the API, which is at another address and takes other tokens.
			if err := fromEnvironment(cmd.Flags(), "server", "token"); err != nil {
				return err
			}
			return o.run(cmd.Context(), os.Stderr)
		},
	}
	cmd.PersistentFlags().StringVar(&o.dir, "dir", "", "`DIR` for candidates, workloads and what the agent is known by (default: gantry/agent in the state folder)")
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "", "the server's `URL` for agents (default: where the agent has joined)")
	f.StringVar(&o.name, "name", "", "what the agent wants to be called when it joins (default: the host's name)")
	f.StringVar(&o.token, "token", "", "`TOKEN` to join by; everybody on the machine can read it there: --token-file or GANTRY_JOIN_TOKEN keep it to you")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token to join by")
	f.StringToStringVar(&o.labels, "label", nil, "labels that targets may ask for, as `KEY=VALUE`, unless the token has some; may be repeated")
	f.BoolVar(&o.acceptTerms, "accept-acme-terms", false, "agree to the terms of service of the ACME authorities that ports with tls: acme name")
	o.logFormat.value, o.logFormat.allowed = "text", []string{"text", "json"}
	registerChoice(cmd, &o.logFormat, "log-format", "", "form of the agent's own log: text, json")
	cmd.AddCommand(o.statusCommand(), o.stopCommand())
	return cmd
}

// folder is where the agent lives.
func (o *agentOptions) folder() (string, error) {
	if o.dir == "" {
		state, err := stateDir()
		if err != nil {
			return "", err
		}
		o.dir = filepath.Join(state, "agent")
	}
	return filepath.Abs(o.dir)
}

// joinToken is what to join by: as given, from a file, or from the environment; none is none.
func (o *agentOptions) joinToken() (string, error) {
	if o.tokenFile == "" {
		return cmp.Or(o.token, os.Getenv("GANTRY_JOIN_TOKEN")), nil
	}
	b, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read the token to join by: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (o *agentOptions) run(ctx context.Context, logs io.Writer) error {
	dir, err := o.folder()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the agent's folder: %w", err)
	}
	token, err := o.joinToken()
	if err != nil {
		return err
	}
	log := (&serverOptions{logFormat: o.logFormat}).logger(logs)
	if o.token != "" {
		log.Warn("--token can be read by everybody on this machine; use --token-file or GANTRY_JOIN_TOKEN")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	host, _ := os.Hostname()
	certificates := &agentCerts{dir: filepath.Join(dir, "certs"), terms: o.acceptTerms, log: log}
	release, err := holdPID(dir)
	if err != nil {
		return err
	}
	defer release()
	err = link.Run(ctx, link.Options{
		Dir: dir, Server: o.server, Token: token, Name: cmp.Or(o.name, agentName(host)), Log: log,
		Info:   link.Info{Version: currentVersion().Version, Hostname: host, OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Memory: totalMemory(), Labels: o.labels},
		Joined: func(name string) { log.Info("running", "agent", name, "dir", dir, "version", currentVersion().Version) },
		Open: func(ctx context.Context, s agent.Source, registry link.Registry) (*agent.Host, error) {
			h, err := agent.TakeOver(ctx, agent.Options{Dir: dir, Source: s, Registry: registry, TLS: certificates.config, Log: log})
			certificates.host.Store(h)
			return h, err
		},
	})
	switch {
	case errors.Is(err, agent.ErrReplaced):
		log.Info("another agent has taken over")
		return nil
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		err = nil
	}
	if err == nil {
		log.Info("stopped; what it runs goes on")
	}
	return err
}

// agentName makes a name that agents may have of a host's: small letters, digits and hyphens.
func agentName(host string) string {
	first, _, _ := strings.Cut(strings.ToLower(host), ".")
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, first), "-")
	return cmp.Or(name[:min(len(name), 63)], "agent")
}

func (o *agentOptions) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "End the agent of a folder, and everything that it runs",
		Long: "Stop ends the agent of a folder, if one runs, and then everything that it has started: whoever uses it has the time for draining, as after a release.\n" +
			"What the host shall be stays in the folder: the next agent starts it again.",
		Example: "  gantry agent stop\n  gantry agent stop --dir /var/lib/gantry-agent", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := o.folder()
			if err != nil {
				return err
			}
			if !exists(dir) {
				return usagef("there is no agent in %s", dir)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return stopAgent(ctx, dir)
		},
	}
}

// stopAgent takes a folder over from the agent that has it, and ends all that runs there.
func stopAgent(ctx context.Context, dir string) error {
	if err := endHolder(ctx, dir); err != nil {
		return err
	}
	h, err := agent.Open(ctx, agent.Options{Dir: dir, Source: noSource{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if err := h.Shutdown(ctx); err != nil {
		return err
	}
	if err := link.TellStopped(dir, time.Now()); err != nil && !errors.Is(err, link.ErrNoStatus) {
		return fmt.Errorf("all is ended, and what \"gantry agent status\" says is old: %w", err)
	}
	return nil
}

// noSource has no candidates: nothing is started any more.
type noSource struct{}

func (noSource) Fetch(context.Context, string) (io.ReadCloser, error) {
	return nil, errors.New("the agent is being stopped")
}

// stopWithin is how long an agent that is told to end may take.
const stopWithin = 30 * time.Second
