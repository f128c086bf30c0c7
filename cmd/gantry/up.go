package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gantry-ops/gantry/web"
)

const upLong = `Up starts the server: it runs the pipelines of its projects on pushes, schedules and by hand, keeps their history and logs, and
serves the web UI and the HTTP API.

Everything is kept in one folder. The database is SQLite there, or PostgreSQL by --db: then any number of servers, each with a folder of
its own, share the work. Jobs run on this machine, and on others by "gantry runner".

The first start prints a link by which the first administrator is made; it can be used once. Without TLS the server listens on loopback
addresses only, so that no password crosses a network in the clear.

Each flag can also be given by the environment: --data is GANTRY_DATA, --tls-cert is GANTRY_TLS_CERT. A flag wins. What is secret, such as
the client secret for OpenID Connect, comes by the environment or a file alone: command lines can be read by others.

SIGTERM or Ctrl-C stops it: no more work is taken, jobs have a short while, what did not end is given back and run again later. A second
one ends everything at once.

Exit codes: 0 stopped, 2 it could not be started.`

const upExample = `  gantry up                                            on http://127.0.0.1:7070, everything below the state folder
  gantry up --demo                                     with an example project, from a working tree of gantry
  gantry up --data /var/lib/gantry --listen :443 --tls-cert cert.pem --tls-key key.pem --url https://ci.example.com
  GANTRY_DB=postgres://gantry@db.example.com/gantry gantry up --blobs 's3://ci-blobs?region=eu-west-1'`

// serverOptions are what a server is made of, as flags give them.
type serverOptions struct {
	data, listen, db, blobs    string
	url, tlsCert, tlsKey       string
	insecure, demo, runner     bool
	jobs                       int
	executor, logFormat        choiceFlag
	images, labels             []string
	keyFile                    string
	oidcIssuer, oidcName       string
	oidcClient, oidcSecretFile string
	oidcGroups, oidcDefault    []string
	trustedProxies             []string
	actionsURL                 string
	metricsListen              string
	publicMetrics              bool
	telemetry                  telemetryOptions
	agentsListen, agentsCA     string
}

func newUpCommand() *cobra.Command {
	o := &serverOptions{}
	cmd := &cobra.Command{
		Use:     "up",
		Short:   "Start the server: runs on pushes, history, approvals, logs, a web UI",
		Long:    upLong,
		Example: upExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			return o.up(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "`DIR` for everything that is kept (default: gantry/server in the state folder)")
	f.StringVar(&o.listen, "listen", "127.0.0.1:7070", "`ADDRESS` to listen on")
	f.StringVar(&o.db, "db", "", "database `URL`: postgres://… (default: SQLite in the data folder)")
	f.StringVar(&o.blobs, "blobs", "", "where logs and artifacts are kept: s3://, gs://, azblob:// or file:// `URL` (default: in the data folder)")
	f.StringVar(&o.url, "url", "", "public `URL` that browsers and forges reach the server at (default: made of --listen)")
	f.StringVar(&o.tlsCert, "tls-cert", "", "PEM `FILE` with the certificate and those between it and its root")
	f.StringVar(&o.tlsKey, "tls-key", "", "PEM `FILE` with the certificate's key")
	f.BoolVar(&o.insecure, "insecure", false, "listen without TLS on addresses that others reach; for use behind a proxy that has TLS")
	f.BoolVar(&o.demo, "demo", false, "add an example project from the working tree, and run its pipeline")
	f.BoolVar(&o.runner, "runner", true, "run jobs in this process; with =false all jobs wait for runners elsewhere")
	f.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "how many jobs run here at a time")
	f.StringSliceVar(&o.labels, "labels", []string{"*"}, "`LABELS` of jobs that run here; * takes those that no other runner has")
	f.StringArrayVar(&o.images, "image", nil, "image for jobs without a container under --executor docker: `[LABEL=]IMAGE`")
	f.StringVar(&o.keyFile, "key-file", "", "`FILE` with age identities that secrets are encrypted for, shared by all servers of a database (default: made in the data folder)")
	f.StringVar(&o.oidcIssuer, "oidc-issuer", "", "`URL` of the OpenID Connect provider that people may sign in by")
	f.StringVar(&o.oidcName, "oidc-name", "", "what the sign-in button calls the provider")
	f.StringVar(&o.oidcClient, "oidc-client-id", "", "client `ID` of this server at the provider")
	f.StringVar(&o.oidcSecretFile, "oidc-client-secret-file", "", "`FILE` with the client's secret (or GANTRY_OIDC_CLIENT_SECRET)")
	f.StringArrayVar(&o.oidcGroups, "oidc-group", nil, "role for a group of the provider, as `GROUP=PROJECT:ROLE`; PROJECT may be *")
	f.StringArrayVar(&o.oidcDefault, "oidc-default", nil, "role for everybody who signs in by the provider, as `PROJECT:ROLE`")
	f.StringSliceVar(&o.trustedProxies, "trusted-proxy", nil, "`CIDR` of proxies whose X-Forwarded-For is believed")
	f.StringVar(&o.actionsURL, "actions-url", "", "base `URL` to clone actions and workflows from (default: https://github.com)")
	f.BoolVar(&o.publicMetrics, "public-metrics", false, "let everybody read /metrics, not this machine alone")
	f.StringVar(&o.metricsListen, "metrics-listen", "", "further `ADDRESS` that serves /metrics alone, in plain HTTP (default: only this machine may read them)")
	o.telemetry.flags(f)
	f.StringVar(&o.agentsListen, "agents-listen", "", "`ADDRESS` that hosts' agents speak to, by mutual TLS (default: that of --listen, with the next port)")
	f.StringVar(&o.agentsCA, "agents-ca", "", "`DIR` with the authority of the agents' certificates, shared by all servers of a database (default: made in the data folder)")
	o.executor.value, o.executor.allowed = "host", []string{"host", "docker"}
	registerChoice(cmd, &o.executor, "executor", "x", "where jobs without a container run: host, docker")
	o.logFormat.value, o.logFormat.allowed = "text", []string{"text", "json"}
	registerChoice(cmd, &o.logFormat, "log-format", "", "form of the server's own log: text, json")
	return cmd
}

// fromEnvironment sets the flags that were not given from GANTRY_NAME, but for those whose variable means something else.
func fromEnvironment(flags *pflag.FlagSet, but ...string) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "GANTRY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if f.Changed || !ok || value == "" || f.Name == "help" || slices.Contains(but, f.Name) {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, usagef("%s: %v", name, err))
		}
	})
	return errors.Join(errs...)
}

// check fills in what is left open, and refuses what cannot be.
func (o *serverOptions) check() error {
	if o.data == "" {
		state, err := stateDir()
		if err != nil {
			return err
		}
		o.data = filepath.Join(state, "server")
	}
	var err error
	if o.data, err = filepath.Abs(o.data); err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return usagef("--listen %s: expected ADDRESS:PORT, such as 127.0.0.1:7070 or :7070", o.listen)
	}
	if o.agentsListen == "" {
		o.agentsListen = agentsAddress(o.listen)
	} else if _, _, err := net.SplitHostPort(o.agentsListen); err != nil {
		return usagef("--agents-listen %s: expected ADDRESS:PORT, such as :7071", o.agentsListen)
	}
	switch {
	case (o.tlsCert == "") != (o.tlsKey == ""):
		return usagef("--tls-cert and --tls-key belong together")
	case o.tlsCert == "" && !o.insecure && !loopbackHost(host):
		return usagef("--listen %s: without TLS passwords and tokens would cross the network in the clear; give --tls-cert and --tls-key, listen on 127.0.0.1 behind a proxy, or say --insecure", o.listen)
	case o.jobs < 1:
		return usagef("--jobs must be at least 1, got %d; --runner=false runs none here", o.jobs)
	case o.oidcIssuer != "" && o.oidcClient == "":
		return usagef("--oidc-issuer needs --oidc-client-id: register this server with the provider")
	}
	if o.url == "" {
		return nil
	}
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return usagef("--url %s: expected the address that browsers use, without a path, such as https://ci.example.com", o.url)
	}
	o.url = u.Scheme + "://" + u.Host
	return nil
}

// loopbackHost reports whether only this machine reaches an address.
func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// address is where people go: as given, or made of where the server really listens.
func (o *serverOptions) address(l net.Addr) string {
	if o.url != "" {
		return o.url
	}
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(l.String())
	if err != nil {
		return scheme + "://" + l.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host, _ = os.Hostname()
		host = cmp.Or(host, "localhost")
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// logger writes the server's own log.
func (o *serverOptions) logger(w io.Writer) *slog.Logger {
	if o.logFormat.value == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// up runs the server until it is asked to stop.
func (o *serverOptions) up(ctx context.Context, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	log := o.logger(os.Stderr)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := openServer(ctx, o, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "gantry is at %s\n", s.url)
	if !web.Built() {
		s.log.Warn("this binary has no UI: build it by make ui, and then gantry by make build; the API and the command line work")
	}
	if link, err := s.firstLink(ctx); err != nil {
		return errors.Join(err, s.close())
	} else if link != "" {
		fmt.Fprintf(out, "make the first account, once, by this link: %s\n", link)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	if o.demo {
		d := &demo{s: s, out: out}
		go func() {
			if err := d.run(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "gantry: the demo: %v\n", err)
			}
		}()
		defer d.stop(context.WithoutCancel(ctx))
	}
	for asked := 0; ; {
		select {
		case err := <-ended:
			return errors.Join(err, s.close())
		case sig := <-signals:
			switch asked++; asked {
			case 1:
				log.Info("stopping; a second signal ends everything at once", "signal", sig.String())
				stop()
			case 2:
				log.Warn("ending everything at once", "signal", sig.String())
				close(s.kill)
			default:
				return told(exitInterrupted)
			}
		}
	}
}
