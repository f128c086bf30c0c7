package link

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/gantry-ops/gantry/agent"
)

// parts are the labels that the name of a route's service is made of: PROJECT/ENVIRONMENT/REGION/SERVICE/PORT.
var parts = []string{"project", "environment", "region", "service", "port"}

// split gives series the labels of their parts in the place of the one name. What has another name stays as it is.
func split(g prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		for _, f := range families {
			for _, m := range f.Metric {
				m.Label = splitLabels(m.Label)
			}
		}
		return families, err
	})
}

func splitLabels(labels []*dto.LabelPair) []*dto.LabelPair {
	for i, l := range labels {
		if l.GetName() != "service" {
			continue
		}
		values := strings.Split(l.GetValue(), "/")
		if len(values) < len(parts)-1 || len(values) > len(parts) {
			return labels
		}
		// The slice is the registry's copy of this gathering, its pairs are not.
		out := append([]*dto.LabelPair{}, labels[:i]...)
		for n, v := range values {
			name, value := parts[n], v
			out = append(out, &dto.LabelPair{Name: &name, Value: &value})
		}
		return append(out, labels[i+1:]...)
	}
	return labels
}

// instances are figures of what runs on the host.
type instances struct{ host *agent.Host }

var (
	instanceLabels = []string{"service", "version", "instance"}
	healthyDesc    = prometheus.NewDesc("gantry_instance_healthy", "1 where the instance may have traffic.", instanceLabels, nil)
	restartsDesc   = prometheus.NewDesc("gantry_instance_restarts_total", "Starts of the instance after its first.", instanceLabels, nil)
	sinceDesc      = prometheus.NewDesc("gantry_instance_start_time_seconds", "When the instance's process was started, in seconds since 1970.", instanceLabels, nil)
)

// Describe implements prometheus.Collector.
func (instances) Describe(ch chan<- *prometheus.Desc) {
	ch <- healthyDesc
	ch <- restartsDesc
	ch <- sinceDesc
}

// Collect implements prometheus.Collector.
func (c instances) Collect(ch chan<- prometheus.Metric) {
	for _, i := range c.host.Observe().Instances {
		service, version := i.Labels[agent.LabelService], i.Labels[agent.LabelVersion]
		if service == "" {
			continue
		}
		healthy := 0.0
		if i.Well() {
			healthy = 1
		}
		ch <- prometheus.MustNewConstMetric(healthyDesc, prometheus.GaugeValue, healthy, service, version, i.ID)
		ch <- prometheus.MustNewConstMetric(restartsDesc, prometheus.CounterValue, float64(i.Restarts), service, version, i.ID)
		if !i.Started.IsZero() {
			ch <- prometheus.MustNewConstMetric(sinceDesc, prometheus.GaugeValue, float64(i.Started.UnixNano())/1e9, service, version, i.ID)
		}
	}
}
