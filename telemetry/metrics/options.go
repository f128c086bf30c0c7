package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Options are what a [Store] is opened with. Only Dir is required; what is zero has the default that is stated.
type Options struct {
	// Dir is where the samples are. It is made if it is not there. One process at a time may have it open.
	Dir string
	// Retention is how long samples are kept, 15 days by default, at least 2 hours. They go a block at a time, and a block is of at least 2 hours.
	Retention time.Duration
	// MaxBytes is how much of the disk the samples may take, write-ahead log included; 0 is no limit, else at least 64 MiB. Whole blocks go, the oldest first.
	// The newest two to three hours stay whatever they take, so that is the least.
	MaxBytes int64
	// OutOfOrder is how much older than the newest sample of its series one may be that is sent to us, 10 minutes by default; below 0 is not at all.
	OutOfOrder time.Duration
	// Exemplars is how many exemplars (links from a sample to a trace) are kept in memory, 10,000 by default; below 0 is none.
	Exemplars int

	// QueryTimeout is how long a query may take, 30 s by default.
	QueryTimeout time.Duration
	// MaxSamples is how many samples a query may hold in memory at a time, 20 million by default (of 16 bytes each).
	MaxSamples int
	// MaxQueries is how many queries are answered at a time, 20 by default. The others wait, within their timeout.
	MaxQueries int
	// Lookback is how old a sample may be to count as the present one, 5 minutes by default, as in Prometheus.
	Lookback time.Duration

	// ScrapeInterval is how often a target is scraped that does not say it itself, 15 s by default.
	ScrapeInterval time.Duration
	// ScrapeTimeout is how long a scrape may take, 10 s by default. It is never longer than the interval of its target.
	ScrapeTimeout time.Duration
	// ScrapeTLS is how targets with the scheme https are spoken to.
	ScrapeTLS TLS
	// ScrapeBearerTokenFile has the token that every target is sent, read anew at each scrape. Empty is none.
	ScrapeBearerTokenFile string
	// Dial connects to a target, for those that are not reached directly. Nil is a plain connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Limits are what a target may do.
	Limits Limits

	// ExternalLabels tell this installation from others: they are added to what is sent elsewhere, and to alerts.
	ExternalLabels map[string]string
	// RuleInterval is how often rules are evaluated whose group does not say it itself, 15 s by default.
	RuleInterval time.Duration
	// Alerts is told of the alerts that rules raise: all that fire, at least once a minute, and those that ended. It is called by several
	// goroutines, and should not block: the next evaluation of the rules waits for it. Nil drops them.
	Alerts func(ctx context.Context, alerts []Alert)
	// RemoteWrites are where all samples are sent to.
	RemoteWrites []RemoteWrite

	// Log is told what a person may have to know. Nil is silence.
	Log *slog.Logger

	// blockDuration is how long a block is, 2 hours; less in tests.
	blockDuration time.Duration
	// remoteDeadline is how long samples wait for others to be sent with, 5 s; less in tests.
	remoteDeadline time.Duration
	// remoteFlush is how long Close tries to send what is left, 5 s; less in tests.
	remoteFlush time.Duration
}

// Limits are what one target may do, so that a careless one harms only itself. What is zero has the default that is stated; below zero is no limit.
// A scrape that passes one of them is dropped as a whole, and the target is down with the reason.
type Limits struct {
	// Samples is how many samples one scrape may have, 20,000 by default.
	Samples int
	// BodyBytes is how long the answer may be after decompression, 16 MiB by default.
	BodyBytes int64
	// Labels is how many labels a series may have, with ours, 64 by default.
	Labels int
	// LabelNameBytes and LabelValueBytes are how long those may be, 256 and 4096 by default.
	LabelNameBytes, LabelValueBytes int
	// TargetSeries is how many series a target may have in memory, also those that it had an hour ago, 100,000 by default. It stops those who put
	// a new value into a label at every scrape. What is no longer written leaves the memory after 2 to 3 hours.
	TargetSeries int
	// Series is how many series there may be in memory in all, whoever sent them, 2 million by default (of some 4 kB each).
	Series int
}

// TLS is how the other side is known, and how we are. All files are in PEM, and read anew when they change.
type TLS struct {
	// CAFile has the certificates that sign the other side's. Empty is the system's.
	CAFile string
	// CertFile and KeyFile are our own, both or none.
	CertFile, KeyFile string
	// ServerName is the name that the other side's certificate must have. Empty is the host that is connected to.
	ServerName string
}

const (
	minRetention   = 2 * time.Hour
	minMaxBytes    = 64 << 20
	minInterval    = 100 * time.Millisecond
	maxInterval    = time.Hour
	maxSteps       = 11_000
	defaultTimeout = 10 * time.Second
)

// withDefaults returns the options as they are used, or all that is wrong with them.
func (o Options) withDefaults() (Options, error) {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if o.Dir == "" {
		refuse("no directory")
	}
	defaulted(&o.Retention, 15*24*time.Hour)
	if o.Retention < minRetention {
		refuse("retention %s is below %s", o.Retention, minRetention)
	}
	if o.MaxBytes != 0 && o.MaxBytes < minMaxBytes && o.blockDuration == 0 {
		refuse("size limit of %d bytes is below %d", o.MaxBytes, int64(minMaxBytes))
	}
	defaulted(&o.OutOfOrder, 10*time.Minute)
	defaulted(&o.Exemplars, 10_000)
	defaulted(&o.QueryTimeout, 30*time.Second)
	defaulted(&o.MaxSamples, 20_000_000)
	defaulted(&o.MaxQueries, 20)
	defaulted(&o.Lookback, 5*time.Minute)
	defaulted(&o.ScrapeInterval, 15*time.Second)
	defaulted(&o.ScrapeTimeout, min(defaultTimeout, o.ScrapeInterval))
	defaulted(&o.RuleInterval, 15*time.Second)
	defaulted(&o.blockDuration, 2*time.Hour)
	defaulted(&o.remoteDeadline, 5*time.Second)
	defaulted(&o.remoteFlush, 5*time.Second)
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"query timeout", o.QueryTimeout}, {"lookback", o.Lookback}, {"scrape timeout", o.ScrapeTimeout}, {"rule interval", o.RuleInterval},
	} {
		if d.value < time.Millisecond {
			refuse("%s %s is below 1ms", d.name, d.value)
		}
	}
	if o.ScrapeInterval < minInterval || o.ScrapeInterval > maxInterval {
		refuse("scrape interval %s is not within %s and %s", o.ScrapeInterval, minInterval, maxInterval)
	}
	if o.MaxSamples < 0 || o.MaxQueries < 0 {
		refuse("the number of samples or queries is below 0")
	}
	if (o.ScrapeTLS.CertFile == "") != (o.ScrapeTLS.KeyFile == "") {
		refuse("a certificate for scraping needs its key, and a key its certificate")
	}
	l := &o.Limits
	limited(&l.Samples, 20_000)
	limited(&l.BodyBytes, 16<<20)
	limited(&l.Labels, 64)
	limited(&l.LabelNameBytes, 256)
	limited(&l.LabelValueBytes, 4096)
	limited(&l.TargetSeries, 100_000)
	limited(&l.Series, 2_000_000)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for i := range o.RemoteWrites {
		if err := o.RemoteWrites[i].validate(); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return Options{}, fmt.Errorf("options of the metrics: %w", errors.Join(problems...))
	}
	return o, nil
}

// defaulted gives what is zero its default.
func defaulted[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// limited gives a limit its default, and one that is none the 0 by which Prometheus knows that.
func limited[T int | int64](v *T, value T) {
	switch {
	case *v == 0:
		*v = value
	case *v < 0:
		*v = 0
	}
}
