package metrics

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// pool is the name of the one scrape configuration. What differs between targets is in their labels.
const pool = "gantry"

// config writes the options as a Prometheus configuration and has Prometheus read it: so its own checks and defaults apply, and what
// /api/v1/status/config shows is what is done.
func (o Options) config() (*config.Config, error) {
	ms := func(d time.Duration) string { return model.Duration(d.Truncate(time.Millisecond)).String() }
	scrape := map[string]any{
		"job_name":        pool,
		"scrape_interval": ms(o.ScrapeInterval),
		"scrape_timeout":  ms(min(o.ScrapeTimeout, o.ScrapeInterval)),
		"tls_config":      o.ScrapeTLS.yaml(),
		// The time of a sample is when it was scraped: a target whose clock is wrong could else hide what it does.
		"honor_timestamps": false,
		// Nor may it give itself the version or the region of another.
		"honor_labels": false,
		// A plain text without a content type, as a small program may send it, is read as what it probably is.
		"fallback_scrape_protocol": string(config.PrometheusText0_0_4),
		"scrape_native_histograms": true,
		"sample_limit":             o.Limits.Samples,
		"body_size_limit":          fmt.Sprintf("%dB", o.Limits.BodyBytes),
		"label_limit":              o.Limits.Labels,
		"label_name_length_limit":  o.Limits.LabelNameBytes,
		"label_value_length_limit": o.Limits.LabelValueBytes,
		// A target that sends ever finer histograms gets coarser ones.
		"native_histogram_bucket_limit": 160,
	}
	if o.ScrapeBearerTokenFile != "" {
		scrape["authorization"] = map[string]any{"credentials_file": o.ScrapeBearerTokenFile}
	}
	external := map[string]string{}
	for name, value := range o.ExternalLabels {
		// Prometheus would put the value of an environment variable where there is a single dollar.
		external[name] = strings.ReplaceAll(value, "$", "$$")
	}
	doc := map[string]any{
		"global": map[string]any{
			"evaluation_interval": ms(o.RuleInterval),
			"external_labels":     external,
		},
		"scrape_configs": []any{scrape},
		"otlp": map[string]any{
			"promote_resource_attributes": []string{"service.version", "deployment.environment.name", "deployment.environment", "cloud.region"},
		},
	}
	if len(o.RemoteWrites) > 0 {
		var writes []any
		for _, w := range o.RemoteWrites {
			writes = append(writes, w.yaml(o.remoteDeadline))
		}
		doc["remote_write"] = writes
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("options of the metrics: %w", err)
	}
	c, err := config.Load(string(text), promslog.NewNopLogger())
	if err != nil {
		return nil, fmt.Errorf("options of the metrics: %w", err)
	}
	return c, nil
}

// yaml returns what Prometheus calls a tls_config.
func (t TLS) yaml() map[string]any {
	c := map[string]any{}
	for key, value := range map[string]string{"ca_file": t.CAFile, "cert_file": t.CertFile, "key_file": t.KeyFile, "server_name": t.ServerName} {
		if value != "" {
			c[key] = value
		}
	}
	return c
}

// shownConfig is the configuration as it may be shown: what headers hold may be a secret.
func (s *Store) shownConfig() config.Config {
	c := *s.config
	c.RemoteWriteConfigs = nil
	for _, w := range s.config.RemoteWriteConfigs {
		shown := *w
		shown.Headers = maps.Clone(w.Headers)
		for name := range shown.Headers {
			shown.Headers[name] = "<secret>"
		}
		c.RemoteWriteConfigs = append(c.RemoteWriteConfigs, &shown)
	}
	return c
}

// checkURL refuses what is not an address of an HTTP server.
func checkURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("address %q does not begin with http:// or https://", u.Redacted())
	case u.Host == "":
		return nil, fmt.Errorf("address %q has no host", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("address %q has a name or a password in it; put a token into a file instead", u.Redacted())
	}
	return u, nil
}
