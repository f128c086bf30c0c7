package kit

import (
	"strings"
	"testing"
	"time"
)

func TestTextFormat(t *testing.T) {
	var r Registry
	r.Info("build_info", "The version.", "version", "1\n2")
	r.Gauge("nothing", "Has no value now.", func() (float64, bool) { return 0, false })
	r.Gauge("ready", "Is it?", func() (float64, bool) { return 1, true })
	orders := r.Counter("orders_total", "Orders by side and result.", "side", "result")
	orders.Inc("buy", "accepted")
	orders.Inc("buy", "accepted")
	orders.Add(0, "buy", "refused")
	orders.Inc("a \"quoted\"\nvalue with \\", "")
	took := r.Histogram("took_seconds", "Time taken.\nIn seconds.", []float64{1, 0.1}, "route")
	took.Observe(100*time.Millisecond, "POST /orders") // on the bound: belongs to it
	took.Observe(500*time.Millisecond, "POST /orders")
	took.Observe(2*time.Second, "POST /orders")

	const want = `# HELP build_info The version.
# TYPE build_info gauge
build_info{version="1\n2"} 1
# HELP ready Is it?
# TYPE ready gauge
ready 1
# HELP orders_total Orders by side and result.
# TYPE orders_total counter
orders_total{side="a \"quoted\"\nvalue with \\",result=""} 1
orders_total{side="buy",result="accepted"} 2
orders_total{side="buy",result="refused"} 0
# HELP took_seconds Time taken.\nIn seconds.
# TYPE took_seconds histogram
took_seconds_bucket{route="POST /orders",le="0.1"} 1
took_seconds_bucket{route="POST /orders",le="1"} 2
took_seconds_bucket{route="POST /orders",le="+Inf"} 3
took_seconds_sum{route="POST /orders"} 2.6
took_seconds_count{route="POST /orders"} 3
`
	var b strings.Builder
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
	if n := orders.Count("buy", "accepted"); n != 2 {
		t.Errorf("count = %d", n)
	}
}
