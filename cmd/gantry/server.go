package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gantry-ops/gantry/agent/certs"
	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/fleet"
	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/runs/worker"
	"github.com/gantry-ops/gantry/secret"
	"github.com/gantry-ops/gantry/ship"
	"github.com/gantry-ops/gantry/store"
)

// Times of a stop.
const (
	// drain is how long requests have to end, after the jobs.
	drain = 5 * time.Second
	// tidyEvery is how often what has expired is removed.
	tidyEvery = time.Hour
)

// server is a running `gantry up`: all rooms, wired.
type server struct {
	o        *serverOptions
	log      *slog.Logger
	url      string
	listener net.Listener

	db      *store.DB
	blobs   *store.Bucket
	engine  *engine.Engine
	secrets *secret.Store
	auth    *auth.Service
	runs    *runs.Service
	sources *sources
	formats *formats
	metrics *telemetry

	fleet    *fleet.Service
	rollouts *release.Service
	judge    *judge.Service
	ship     *ship.Service
	own      *ownAgents
	// agentsListener is where agents speak to the server.
	agentsListener net.Listener

	machines *machines
	places   *places
	handler  http.Handler
	// certificate is nil without TLS.
	certificate *certs.Files
	// kill, when closed, ends all jobs at once.
	kill chan struct{}
	// serving: work is taken; false while starting and stopping.
	serving atomic.Bool

	closers []func() error
}

// openServer opens everything that a server is made of, and listens; nothing is served yet.
func openServer(ctx context.Context, o *serverOptions, log *slog.Logger) (s *server, err error) {
	s = &server{o: o, log: log, kill: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return s, fmt.Errorf("make the data folder: %w", err)
	}
	if o.tlsCert != "" {
		if s.certificate, err = certs.LoadFiles(o.tlsCert, o.tlsKey); err != nil {
			return s, err
		}
		s.certificate.Renewed = func() { log.Info("took up the renewed certificate", "file", o.tlsCert) }
		s.certificate.Refused = func(err error) { log.Warn("the changed certificate is not used", "error", err) }
	}
	owner := rand.Text()
	// The address first: who has the lock is remembered as the folder's last owner, also where it could not start.
	if s.listener, err = net.Listen("tcp", o.listen); err != nil {
		return s, fmt.Errorf("listen on %s: %w (another --listen may be free)", o.listen, err)
	}
	s.closers = append(s.closers, closing(s.listener))
	previous, release, err := store.LockDir(o.data, owner)
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, release)
	s.url = o.address(s.listener.Addr())
	if s.db, err = store.Open(ctx, store.Options{URL: cmp.Or(o.db, filepath.Join(o.data, "gantry.db"))}); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.db.Close)
	if s.blobs, err = store.OpenBlobs(ctx, o.blobs, filepath.Join(o.data, "blobs")); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.blobs.Close)
	if s.secrets, err = secret.Open(ctx, secret.Options{DB: s.db, KeyFile: filepath.Join(o.data, "secrets.key"), IdentityFile: o.keyFile}); err != nil {
		return s, err
	}
	if err := s.openAuth(ctx); err != nil {
		return s, err
	}
	if s.engine, err = engine.New(ctx, s.db, engine.Options{Owner: owner, Log: log}); err != nil {
		return s, err
	}
	if previous != "" {
		// Whoever had the folder is dead: what it worked on need not wait until it is missed.
		if err := s.engine.Disown(ctx, previous); err != nil {
			return s, err
		}
	}
	if err := s.openRuns(ctx); err != nil {
		return s, err
	}
	if s.metrics, err = openTelemetry(&o.telemetry, o.data, s.dialScrape, log); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.metrics.close)
	if err := s.openReleases(ctx); err != nil {
		return s, err
	}
	s.handler, err = s.newHandler(ctx)
	return s, err
}

// closing closes a listener, which its HTTP server may have closed already.
func closing(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (s *server) openAuth(ctx context.Context) (err error) {
	o := auth.Options{URL: s.url, Log: s.log}
	for _, p := range s.o.trustedProxies {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return usagef("--trusted-proxy %s: expected a range of addresses, such as 10.0.0.0/8", p)
		}
		o.TrustedProxies = append(o.TrustedProxies, prefix)
	}
	if o.OIDC, err = s.o.oidc(); err != nil {
		return err
	}
	if s.auth, err = auth.New(ctx, s.db, o); err != nil {
		return err
	}
	s.closers = append(s.closers, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		return s.auth.Close(ctx)
	})
	return nil
}

// oidc is the provider that flags name; nil: none.
func (o *serverOptions) oidc() (*auth.OIDC, error) {
	if o.oidcIssuer == "" {
		return nil, nil
	}
	out := &auth.OIDC{Issuer: o.oidcIssuer, Name: o.oidcName, ClientID: o.oidcClient, ClientSecret: os.Getenv("GANTRY_OIDC_CLIENT_SECRET")}
	if o.oidcSecretFile != "" {
		b, err := os.ReadFile(o.oidcSecretFile)
		if err != nil {
			return nil, fmt.Errorf("read the OpenID Connect client's secret: %w", err)
		}
		out.ClientSecret = strings.TrimSpace(string(b))
	}
	for _, text := range o.oidcDefault {
		g, err := parseGrant("--oidc-default", text)
		if err != nil {
			return nil, err
		}
		out.Default = append(out.Default, g)
	}
	for _, text := range o.oidcGroups {
		group, grant, ok := strings.Cut(text, "=")
		if !ok || group == "" {
			return nil, usagef("--oidc-group %s: expected GROUP=PROJECT:ROLE", text)
		}
		g, err := parseGrant("--oidc-group", grant)
		if err != nil {
			return nil, err
		}
		if out.Groups == nil {
			out.Groups = map[string][]auth.Grant{}
		}
		out.Groups[group] = append(out.Groups[group], g)
	}
	return out, nil
}

// parseGrant reads PROJECT:ROLE; auth checks the two.
func parseGrant(flag, text string) (auth.Grant, error) {
	project, role, ok := strings.Cut(text, ":")
	if !ok || project == "" || role == "" {
		return auth.Grant{}, usagef("%s %s: expected PROJECT:ROLE, such as *:viewer", flag, text)
	}
	return auth.Grant{Project: project, Role: auth.Role(role)}, nil
}

func (s *server) openRuns(ctx context.Context) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	images, err := labelImages(s.o.images)
	if err != nil {
		return err
	}
	remote := forge.Cache{Dir: filepath.Join(cache, "repositories"), BaseURL: cmp.Or(s.o.actionsURL, defaultActionsURL)}
	s.sources = newSources(filepath.Join(s.o.data, "mirrors"), s.secrets)
	s.formats = &formats{remote: &remote}
	s.runs, err = runs.New(ctx, runs.Options{
		DB: s.db, Engine: s.engine, Blobs: s.blobs, Sources: s.sources, Formats: s.formats, Secrets: s.secrets,
		Reporter: &reporter{secrets: s.secrets, url: s.url, http: forge.NewHTTPClient()}, Log: s.log,
		Deleted: func(ctx context.Context, tx *store.Tx, by runs.By, project string) error {
			// A later project of the same name must not find them.
			return errors.Join(s.secrets.DeleteProject(ctx, tx, project), s.auth.RemoveProject(ctx, tx, by.Actor, project))
		},
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.runs.Close)
	// What jobs leave on this machine is in the data folder, so that two servers here do not take each other's for a dead one's.
	s.machines = newMachines(machineOptions{cache: cache, work: filepath.Join(s.o.data, "work"), images: images, docker: s.o.executor.value == "docker"})
	s.closers = append(s.closers, s.machines.close)
	s.places = &places{machines: s.machines, formats: s.formats, remote: remote, local: fromMirrors(s.sources, s.runs)}
	return nil
}

// firstLink is the link by which the first administrator is made; empty where there is one.
func (s *server) firstLink(ctx context.Context) (string, error) {
	token, err := s.auth.FirstLink(ctx)
	if err != nil || token == "" {
		return "", err
	}
	return s.url + "/welcome#token=" + token, nil
}

// run serves until ctx ends, then stops in order: jobs first, while what they say can still be taken; then the coordination; then requests.
func (s *server) run(ctx context.Context) error {
	background := context.WithoutCancel(ctx)
	coordinating, stopCoordinating := context.WithCancel(background)
	defer stopCoordinating()
	var failed sync.WaitGroup
	errs := make(chan error, 5)
	web := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		BaseContext: func(net.Listener) context.Context { return coordinating },
	}
	failed.Go(func() {
		var err error
		if s.certificate != nil {
			web.TLSConfig.GetCertificate = s.certificate.Certificate
			err = web.ServeTLS(s.listener, "", "")
		} else {
			err = web.Serve(s.listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			errs <- fmt.Errorf("serve: %w", err)
		}
	})
	engineEnded := make(chan struct{})
	go func() {
		defer close(engineEnded)
		if err := s.engine.Run(coordinating); err != nil {
			errs <- err
		}
	}()
	go s.tidy(coordinating)
	go s.scrapeAgents(coordinating)
	agents, serveAgents := s.serveAgents(coordinating)
	failed.Go(func() {
		if err := serveAgents(); err != nil {
			errs <- err
		}
	})
	if err := s.own.again(ctx); err != nil {
		s.log.Warn("agents of this machine were not started", "error", err)
	}
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	workerEnded := make(chan struct{})
	go func() {
		defer close(workerEnded)
		if err := s.work(working); err != nil {
			errs <- err
		}
	}()
	s.serving.Store(true)
	s.log.Info("serving", "url", s.url, "data", s.o.data, "database", string(s.db.Kind), "version", currentVersion().Version)

	var err error
	select {
	case <-ctx.Done():
	case err = <-errs:
	}
	s.serving.Store(false)
	stopWorking()
	<-workerEnded
	stopCoordinating()
	<-engineEnded
	bye, cancel := context.WithTimeout(background, drain)
	defer cancel()
	// Tunnels and long polls do not end by themselves; agents come back elsewhere.
	_ = agents.Close()
	if down := web.Shutdown(bye); down != nil {
		// Streams do not end by themselves; their readers come back elsewhere.
		_ = web.Close()
	}
	failed.Wait()
	s.log.Info("stopped")
	return err
}

// work runs jobs in this process.
func (s *server) work(ctx context.Context) error {
	if !s.o.runner {
		return nil
	}
	id, err := s.runnerID()
	if err != nil {
		return err
	}
	name, _ := os.Hostname()
	return worker.Run(ctx, worker.Options{
		Queue:   s.runs,
		Worker:  jobs.Worker{ID: id, Name: cmp.Or(name, "server"), Labels: s.o.labels, Version: currentVersion().Version, Places: s.o.jobs, Embedded: true},
		Prepare: s.places.prepare, Kill: s.kill, Spool: s.spool(), Log: s.log,
	})
}

// spool is where jobs keep what cannot be sent; the system's temporary folder where it cannot be made.
func (s *server) spool() string {
	dir := filepath.Join(s.o.data, "spool")
	// What is there is a dead process's: the folder is locked.
	_ = os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ""
	}
	return dir
}

// runnerID names the runner of this data folder, always the same: its jobs are taken up at once when it comes back.
func (s *server) runnerID() (string, error) {
	name := filepath.Join(s.o.data, "runner")
	b, err := os.ReadFile(name)
	if id := strings.TrimSpace(string(b)); err == nil && id != "" {
		return id, nil
	}
	id := "embedded-" + strings.ToLower(rand.Text()[:10])
	if err := os.WriteFile(name, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("name this server's runner: %w", err)
	}
	return id, nil
}

// tidy removes what has expired, now and then.
func (s *server) tidy(ctx context.Context) {
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := s.auth.Tidy(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("what has expired could not be removed", "error", err)
			}
		}
	}
}

// ready says why the server cannot do its work now; nil: it can.
func (s *server) ready(ctx context.Context) error {
	if !s.serving.Load() {
		return errors.New("the server is starting or stopping")
	}
	if err := s.db.PingContext(ctx); err != nil {
		return errors.New("the database does not answer")
	}
	return nil
}

// close gives back what was opened, the last first.
func (s *server) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}
