package metrics

import (
	"strings"
	"testing"
	"time"
)

func TestTextFormat(t *testing.T) {
	var r Registry
	orders := r.Counter("orders_total", "Orders by result.", "result", "accepted", "rejected")
	orders.Inc("accepted")
	orders.Inc("accepted")
	orders.Inc("a \"quoted\"\nvalue with \\")
	took := r.Histogram("took_seconds", "Time taken.\nIn seconds.", "route", 1, 0.1)
	took.Observe("POST /orders", 100*time.Millisecond) // on the bound: belongs to it
	took.Observe("POST /orders", 500*time.Millisecond)
	took.Observe("POST /orders", 2*time.Second)

	const want = `# HELP orders_total Orders by result.
# TYPE orders_total counter
orders_total{result="a \"quoted\"\nvalue with \\"} 1
orders_total{result="accepted"} 2
orders_total{result="rejected"} 0
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
}
