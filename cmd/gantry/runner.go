package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/api/client"
	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/runs/worker"
)

const runnerLong = `Runner takes jobs from a server and runs them on this machine. It makes connections and takes none.

A token comes from "runners" in the server's UI. Give it by --token-file or GANTRY_RUNNER_TOKEN: what stands in a command line can be read
by everybody on the machine.

While the server cannot be reached, jobs run on, and what they say is sent when it is back. A job that the server has given to another
runner meanwhile is killed.

SIGTERM or Ctrl-C stops it: no more jobs are taken, those that run have a short while, and what did not end is given back. A second one
ends everything at once.

Exit codes: 0 stopped, 2 it could not be started.`

// runnerOptions are the flags of `gantry runner`.
type runnerOptions struct {
	server, token, tokenFile, name string
	labels, images                 []string
	jobs                           int
	executor, logFormat            choiceFlag
	actionsURL                     string
}

func newRunnerCommand() *cobra.Command {
	o := &runnerOptions{}
	cmd := &cobra.Command{
		Use:   "runner",
		Short: "Run jobs of a server on this machine",
		Long:  runnerLong,
		Example: "  gantry runner --server https://ci.example.com --token-file /etc/gantry/runner.token --labels linux,large\n" +
			"  GANTRY_RUNNER_TOKEN=… gantry runner --server https://ci.example.com --jobs 8",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "", "`URL` of the server")
	f.StringVar(&o.token, "token", "", "the runner's `TOKEN`; others on this machine can read it there, so prefer --token-file")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the runner's token (or GANTRY_RUNNER_TOKEN)")
	f.StringVar(&o.name, "name", "", "what the server calls this machine (default: its host name)")
	f.StringSliceVar(&o.labels, "labels", nil, "`LABELS` that jobs may ask for by runs-on")
	f.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "how many jobs run at a time")
	f.StringArrayVar(&o.images, "image", nil, "image for jobs without a container under --executor docker: `[LABEL=]IMAGE`")
	f.StringVar(&o.actionsURL, "actions-url", "", "base `URL` to clone actions and workflows from (default: https://github.com)")
	o.executor.value, o.executor.allowed = "host", []string{"host", "docker"}
	registerChoice(cmd, &o.executor, "executor", "x", "where jobs without a container run: host, docker")
	o.logFormat.value, o.logFormat.allowed = "text", []string{"text", "json"}
	registerChoice(cmd, &o.logFormat, "log-format", "", "form of the runner's own log: text, json")
	return cmd
}

// secretToken finds the token, and warns where others can read it.
func (o *runnerOptions) secretToken(warn io.Writer) (string, error) {
	if o.tokenFile != "" {
		b, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return "", fmt.Errorf("read the runner's token: %w", err)
		}
		if token := strings.TrimSpace(string(b)); token != "" {
			return token, nil
		}
		return "", fmt.Errorf("read the runner's token: %s is empty", o.tokenFile)
	}
	if token := os.Getenv("GANTRY_RUNNER_TOKEN"); token != "" {
		return token, nil
	}
	if o.token == "" {
		return "", usagef("a token is needed: --token-file, or GANTRY_RUNNER_TOKEN")
	}
	fmt.Fprintln(warn, "gantry: everybody on this machine can read --token; --token-file and GANTRY_RUNNER_TOKEN are safe")
	return o.token, nil
}

func (o *runnerOptions) run(ctx context.Context) error {
	u, err := url.Parse(o.server)
	switch {
	case o.server == "":
		return usagef("--server is needed: the address of a gantry server, such as https://ci.example.com")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return usagef("--server %s: expected a URL, such as https://ci.example.com", o.server)
	case o.jobs < 1:
		return usagef("--jobs must be at least 1, got %d", o.jobs)
	}
	token, err := o.secretToken(os.Stderr)
	if err != nil {
		return err
	}
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		fmt.Fprintf(os.Stderr, "gantry: the token and all secrets of jobs cross the network to %s in the clear\n", u.Host)
	}
	images, err := labelImages(o.images)
	if err != nil {
		return err
	}
	c, err := client.New(client.Options{URL: o.server, Token: token})
	if err != nil {
		return err
	}
	queue := c.Queue()
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	remote := forge.Cache{Dir: filepath.Join(cache, "repositories"), BaseURL: cmp.Or(o.actionsURL, defaultActionsURL)}
	host, _ := os.Hostname()
	name := cmp.Or(o.name, host, "runner")
	m := newMachines(machineOptions{name: name, cache: cache, images: images, docker: o.executor.value == "docker"})
	p := &places{machines: m, formats: &formats{remote: &remote}, remote: remote, local: fromQueue(queue, filepath.Join(cache, "mirrors"))}
	log := (&serverOptions{logFormat: o.logFormat}).logger(os.Stderr)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	kill, ended := make(chan struct{}), make(chan error, 1)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		ended <- worker.Run(ctx, worker.Options{
			// Who it is the server knows by the token.
			Queue: queue, Worker: jobs.Worker{ID: name, Name: name, Labels: o.labels, Version: currentVersion().Version, Places: o.jobs},
			Prepare: p.prepare, Kill: kill, Log: log,
		})
	}()
	log.Info("taking jobs", "server", o.server, "name", name, "places", o.jobs)
	for asked := 0; ; {
		select {
		case err := <-ended:
			log.Info("stopped")
			return joinClose(err, m.close)
		case sig := <-signals:
			switch asked++; asked {
			case 1:
				log.Info("stopping; a second signal ends everything at once", "signal", sig.String())
				stop()
			case 2:
				log.Warn("ending everything at once", "signal", sig.String())
				close(kill)
			default:
				return told(exitInterrupted)
			}
		}
	}
}

// joinClose closes, and returns the first error that there is.
func joinClose(err error, closeAll func() error) error {
	if down := closeAll(); err == nil {
		err = down
	}
	return err
}
