package metrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
)

// RemoteWrite is a place that all samples are sent to, by Prometheus' remote-write protocol: Mimir, Thanos, VictoriaMetrics, another Prometheus.
//
// What is to be sent is read from the write-ahead log. While the other side fails, it is tried again and nothing is lost as long as the log has it,
// which is 2 to 3 hours. What was not sent when the process was killed is not sent later.
type RemoteWrite struct {
	// Name tells it from others in figures and logs. It is required, and each is different.
	Name string
	// URL is where to, with the path: http or https, without a name and password in it.
	URL string
	// Version is the protocol's: 1, which is the default and everywhere understood, or 2, which is shorter on the wire.
	Version int
	// Headers are sent with each request. Those that the protocol sets itself are refused.
	Headers map[string]string
	// BearerTokenFile has the token to send, read anew at each request. Empty is none.
	BearerTokenFile string
	// TLS is for https.
	TLS TLS
	// Timeout is how long a request may take, 30 s by default.
	Timeout time.Duration
	// MaxConnections is how many requests may be on their way at a time, 10 by default.
	MaxConnections int
}

// RemoteStatus is how it goes with one of [Options.RemoteWrites].
type RemoteStatus struct {
	Name, URL string
	// Lag is how much older the newest sample is that arrived than the newest that is to be sent.
	Lag time.Duration
	// Pending is how many samples wait in memory, not those that are still in the log only.
	Pending int64
	// Sent, Retried, Failed and Dropped count samples since the start: sent for the first time or again, tried again, refused by the
	// other side for good, and not sent because there is something wrong with them.
	Sent, Retried, Failed, Dropped int64
}

func (w RemoteWrite) validate() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("remote write %q: %s", w.Name, fmt.Sprintf(format, args...))
	}
	if w.Name == "" {
		return refuse("it has no name")
	}
	if _, err := checkURL(w.URL); err != nil {
		return refuse("%s", err)
	}
	switch {
	case w.Version < 0 || w.Version > 2:
		return refuse("version %d of the protocol is neither 1 nor 2", w.Version)
	case (w.TLS.CertFile == "") != (w.TLS.KeyFile == ""):
		return refuse("a certificate needs its key, and a key its certificate")
	case w.Timeout < 0 || w.MaxConnections < 0:
		return refuse("the timeout or the number of connections is below 0")
	}
	return nil
}

// yaml returns what Prometheus calls a remote_write.
func (w RemoteWrite) yaml(deadline time.Duration) map[string]any {
	defaulted(&w.Timeout, 30*time.Second)
	defaulted(&w.MaxConnections, 10)
	c := map[string]any{
		"name": w.Name, "url": w.URL, "headers": w.Headers, "tls_config": w.TLS.yaml(),
		"remote_timeout":         model.Duration(w.Timeout).String(),
		"send_exemplars":         true,
		"send_native_histograms": true,
		"queue_config": map[string]any{
			"max_shards": w.MaxConnections, "batch_send_deadline": model.Duration(deadline).String(), "retry_on_http_429": true,
		},
	}
	if w.Version == 2 {
		c["protobuf_message"] = "io.prometheus.write.v2.Request"
	}
	if w.BearerTokenFile != "" {
		c["authorization"] = map[string]any{"credentials_file": w.BearerTokenFile}
	}
	return c
}

// openRemote puts between the database and those who write to it one who notes the newest time, and starts to read the log.
func (s *Store) openRemote() error {
	if len(s.opts.RemoteWrites) == 0 {
		return nil
	}
	startTime := func() (int64, error) { return s.started.UnixMilli(), nil }
	s.remote = remote.NewStorage(s.opts.Log, s.registry, startTime, s.opts.Dir, s.opts.remoteFlush, metadata{s}, false)
	if err := s.remote.ApplyConfig(s.config); err != nil {
		return fmt.Errorf("metrics: remote write: %w", err)
	}
	s.db.SetWriteNotified(s.remote)
	s.storage = storage.NewFanout(s.opts.Log, s.db, s.remote)
	return nil
}

// metadata hands the scrape manager to the senders, which take from it what the metrics mean.
type metadata struct{ store *Store }

func (m metadata) Get() (*scrape.Manager, error) {
	if m.store.scraper == nil {
		return nil, tsdb.ErrNotReady
	}
	return m.store.scraper.manager, nil
}

// RemoteWrites says how it goes with what is sent elsewhere, in the order of the names.
func (s *Store) RemoteWrites() ([]RemoteStatus, error) {
	if s.remote == nil {
		return nil, nil
	}
	families, err := s.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("figures of remote write: %w", err)
	}
	all := map[string]*RemoteStatus{}
	for _, w := range s.opts.RemoteWrites {
		all[w.Name] = &RemoteStatus{Name: w.Name, URL: w.URL}
	}
	newest, sent := map[string]float64{}, map[string]float64{}
	for _, f := range families {
		short, ours := strings.CutPrefix(f.GetName(), "prometheus_remote_storage_")
		if !ours {
			continue
		}
		for _, m := range f.GetMetric() {
			name := ""
			for _, l := range m.GetLabel() {
				if l.GetName() == "remote_name" {
					name = l.GetValue()
				}
			}
			st := all[name]
			if st == nil {
				continue
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			switch short {
			case "samples_pending":
				st.Pending = int64(value)
			case "samples_total":
				st.Sent = int64(value)
			case "samples_retried_total":
				st.Retried = int64(value)
			case "samples_failed_total":
				st.Failed = int64(value)
			case "samples_dropped_total":
				st.Dropped += int64(value)
			case "queue_highest_timestamp_seconds":
				newest[name] = value
			case "queue_highest_sent_timestamp_seconds":
				sent[name] = value
			}
		}
	}
	var list []RemoteStatus
	for name, st := range all {
		// Before anything arrived, the lag is from the start of the process on.
		from := math.Max(sent[name], float64(s.started.UnixMilli())/1000)
		st.Lag = time.Duration(math.Max(0, newest[name]-from) * float64(time.Second))
		list = append(list, *st)
	}
	slices.SortFunc(list, func(a, b RemoteStatus) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
