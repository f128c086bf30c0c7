package link

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gantry-ops/gantry/agent"
)

// Options say which agent of which server.
type Options struct {
	// Dir is the agent's folder; what it is known by is kept there.
	Dir string
	// Server is the URL that agents are served at: https://HOST:PORT. Empty is where the agent has joined.
	Server string
	// Token lets an agent join that has not done so yet. One that has ignores it.
	Token string
	// Name is what the agent wants to be called when it joins.
	Name string
	Info Info
	// Open opens the host, with the source of candidates and the registry for the router's metrics that it is given.
	Open func(ctx context.Context, s agent.Source, r Registry) (*agent.Host, error)
	// Joined, where it is set, hears the name that the agent has.
	Joined func(name string)
	Now    func() time.Time
	Log    *slog.Logger
}

// Registry has an agent's metrics.
type Registry = *prometheus.Registry

// ErrNoToken: the agent has not joined yet, and was given nothing to join by.
var ErrNoToken = errors.New("this host has not joined a server yet: give it a token, which gantry agents add NAME makes")

// Run is an agent of a server, until ctx ends or another agent takes the host over ([agent.ErrReplaced]). Without the server the host serves on. At the
// end the host is closed; its workloads run on.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	id, err := readIdentity(o.Dir)
	if err != nil {
		return err
	}
	server := o.Server
	if id != nil {
		server = cmp.Or(server, id.Server)
	}
	if id == nil && o.Token == "" {
		return ErrNoToken
	}
	if server == "" {
		return errors.New("say which server the agent is of, such as https://ci.example.com:7071")
	}
	c, err := newClient(server, o.Now)
	if err != nil {
		return err
	}
	if id == nil {
		if id, err = o.joinWhenThere(ctx, c); err != nil {
			return err
		}
		o.Log.Info("joined", "server", server, "name", id.Name)
	}
	c.id.Store(id)
	if o.Joined != nil {
		o.Joined(id.Name)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	host, err := o.Open(ctx, c, registry)
	if err != nil {
		return err
	}
	registry.MustRegister(instances{host})
	a := &running{Options: o, client: c, host: host, registry: registry, boot: rand.Text(), started: o.Now()}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { a.poll(serving) })
	all.Go(func() { a.reports(serving) })
	all.Go(func() { a.renewals(serving) })
	all.Go(func() { newTunnels(c, host, registry, o.Log).run(serving) })
	err = host.HandOver(ctx)
	stop()
	all.Wait()
	c.transport.CloseIdleConnections()
	if errors.Is(err, agent.ErrReplaced) {
		return err // the host is the other agent's
	}
	return errors.Join(err, host.Close())
}

// joinWhenThere joins, and goes on asking while the server does not answer. What the server refuses is an error.
func (o *Options) joinWhenThere(ctx context.Context, c *client) (*identity, error) {
	var pause backoff
	for {
		id, err := c.join(ctx, o.Dir, o.Token, o.Name, o.Info)
		var p *Problem
		if err == nil || errors.As(err, &p) && p.Status < 500 && p.Status != 429 || !away(err) && p == nil {
			return id, err
		}
		o.Log.Warn("the server does not answer; the agent goes on asking", "server", c.server.String(), "error", err)
		if !wait(ctx, pause.next()) {
			return nil, context.Cause(ctx)
		}
	}
}

// away reports whether an error is about the network and not about what was said.
func away(err error) bool {
	var timeout interface{ Timeout() bool }
	text := err.Error()
	return errors.As(err, &timeout) && timeout.Timeout() || strings.Contains(text, "connect:") || strings.Contains(text, "EOF") || strings.Contains(text, "reset by peer") || strings.Contains(text, "no such host")
}

// running is an agent at work.
type running struct {
	Options
	client   *client
	host     *agent.Host
	registry Registry
	// boot tells this process' counters from those of another.
	boot    string
	started time.Time
}

// poll keeps asking what the host shall be.
func (a *running) poll(ctx context.Context) {
	var pause backoff
	quiet := newQuiet(a.Log)
	generation := a.host.Observe().Generation
	for ctx.Err() == nil {
		d, newer, err := a.client.desired(ctx, generation)
		if err == nil && newer {
			if err = a.host.Apply(d); errors.Is(err, agent.ErrStale) {
				generation = max(a.host.Observe().Generation, d.Generation)
			} else if err == nil {
				generation = d.Generation
			}
		}
		if err != nil && ctx.Err() == nil {
			quiet.warn("what is desired cannot be had or done; the host stays as it is", err)
			wait(ctx, pause.next())
			continue
		}
		quiet.well("what is desired is heard of again")
		pause.reset()
	}
}

// changeLook is how often the host is looked at for changes that a rollout may wait for.
const changeLook = 100 * time.Millisecond

// reports tells the server what is on the host: each second, and at once when something changes.
func (a *running) reports(ctx context.Context) {
	var pause backoff
	quiet := newQuiet(a.Log)
	last, said, reached := "", time.Time{}, time.Time{}
	here := &teller{dir: a.Dir}
	for seq := int64(1); ctx.Err() == nil; {
		o := a.host.Observe()
		now := signature(o)
		if now == last && time.Since(said) < ReportEvery {
			wait(ctx, changeLook)
			continue
		}
		counted, err := traffic(a.registry)
		if err != nil {
			quiet.warn("some of the traffic's figures cannot be read", err)
		}
		err = a.client.report(ctx, Report{Boot: a.boot, Seq: seq, Info: a.Info, Observed: o, Traffic: counted})
		seq++
		if err == nil {
			reached = a.Now()
		}
		if ctx.Err() == nil {
			a.tell(here, o, reached, err)
		}
		if err != nil && ctx.Err() == nil {
			quiet.warn("the server does not take reports; the host serves on", err)
			wait(ctx, pause.next())
			continue
		}
		quiet.well("the server takes reports again")
		last, said = now, time.Now()
		pause.reset()
	}
}

// signature is what a rollout may wait for, as text.
func signature(o agent.Observed) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %v %v %v", o.Generation, o.Applied, o.Weights, o.Problems, o.Addresses)
	states := make([]string, 0, len(o.Instances))
	for _, i := range o.Instances {
		states = append(states, fmt.Sprintf("%s %s %d %s", i.ID, i.State, i.Restarts, i.Reason))
	}
	slices.Sort(states)
	fmt.Fprint(&b, states)
	tasks := make([]string, 0, len(o.Tasks))
	for id, t := range o.Tasks {
		tasks = append(tasks, fmt.Sprintf("%s %s", id, t.State))
	}
	slices.Sort(tasks)
	fmt.Fprint(&b, tasks)
	return b.String()
}

// renewLook is how often the certificate's age is looked at.
const renewLook = time.Minute

// renewals keeps the certificate good.
func (a *running) renewals(ctx context.Context) {
	for {
		if id := a.client.id.Load(); a.Now().After(id.due()) {
			if err := a.client.renew(ctx, a.Dir); err != nil && ctx.Err() == nil {
				level := slog.LevelWarn
				if refused(err) {
					level = slog.LevelError
				}
				a.Log.Log(ctx, level, "the agent's certificate was not renewed", "until", id.pair.Leaf.NotAfter, "error", err)
			} else if err == nil {
				a.Log.Info("renewed the agent's certificate", "until", a.client.id.Load().pair.Leaf.NotAfter)
			}
		}
		if !wait(ctx, renewLook) {
			return
		}
	}
}

// backoff gives growing pauses, with chance in them, so that many agents do not come back at once.
type backoff struct{ n int }

const (
	firstPause  = 250 * time.Millisecond
	longestTime = 15 * time.Second
)

func (b *backoff) next() time.Duration {
	d := min(firstPause<<min(b.n, 10), longestTime)
	b.n++
	return d/2 + mrand.N(d/2)
}

func (b *backoff) reset() { b.n = 0 }

// quiet tells of a trouble when it begins, when it becomes another one, and when it is over.
type quiet struct {
	log  *slog.Logger
	last string
}

func newQuiet(log *slog.Logger) *quiet { return &quiet{log: log} }

func (q *quiet) warn(what string, err error) {
	if text := err.Error(); text != q.last {
		q.last = text
		q.log.Warn(what, "error", err)
	}
}

func (q *quiet) well(what string) {
	if q.last != "" {
		q.last = ""
		q.log.Info(what)
	}
}
