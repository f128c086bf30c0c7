package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"meridian.example/marketdata/internal/kit"
	"meridian.example/marketdata/price"
)

func start(t *testing.T, faults *kit.Faults) (*Server, string) {
	t.Helper()
	hub, err := price.NewHub(price.NewGenerator(1), []string{"ACME", "GLOB"}, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go hub.Run(ctx)
	app, err := kit.New("marketdata", "v1", func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	app.Faults = faults
	s := New(hub, app.Metrics, faults)
	web := httptest.NewServer(app.Handler(s.Mux()))
	t.Cleanup(web.Close)
	return s, web.URL
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestGet(t *testing.T) {
	_, url := start(t, &kit.Faults{})
	for _, tt := range []struct {
		path, contains string
		status         int
	}{
		{"/symbols", `["ACME","GLOB"]`, 200},
		{"/prices/ACME", `"symbol":"ACME"`, 200},
		{"/prices/NONE", "GET /symbols", 404},
		{"/prices?symbols=ACME,NONE", `no prices of \"NONE\"`, 400},
		{"/prices?symbols=" + strings.Repeat("A", maxSymbols+1), "longer than", 400},
		{"/prices", "", 426}, // no WebSocket
	} {
		if status, body := get(t, url+tt.path); status != tt.status || !strings.Contains(body, tt.contains) {
			t.Errorf("%.40s: %d %s", tt.path, status, body)
		}
	}
}

func TestStream(t *testing.T) {
	s, url := start(t, &kit.Faults{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, res, err := websocket.Dial(ctx, url+"/prices?symbols=GLOB", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow() //nolint:errcheck // closed below
	if res.Header.Get(kit.VersionHeader) != "v1" {
		t.Errorf("header %v", res.Header)
	}
	var last uint64
	read := func() error {
		_, b, err := c.Read(ctx)
		if err != nil {
			return err
		}
		var p price.Price
		if err := json.Unmarshal(b, &p); err != nil || p.Symbol != "GLOB" || p.Seq <= last || p.Ticks != price.NewGenerator(1).At("GLOB", p.Seq) {
			t.Errorf("after #%d: %s, %v", last, b, err)
		}
		last = p.Seq
		return nil
	}
	for range 10 {
		if err := read(); err != nil {
			t.Fatal(err)
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(ctx) }()
	for err == nil {
		err = read()
	}
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("ended with %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	if status, body := get(t, url+"/prices/ACME"); status != 200 {
		t.Errorf("requests go on until the server stops: %d %s", status, body)
	}
	if _, res, err := websocket.Dial(ctx, url+"/prices", nil); err == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new stream: %v", err)
	}
}

func TestStreamLeft(t *testing.T) {
	s, url := start(t, &kit.Faults{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url+"/prices", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.CloseNow()
	for s.ends.Count("left") == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("the stream never ends")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestFaults(t *testing.T) {
	_, url := start(t, &kit.Faults{Errors: 1})
	if _, res, err := websocket.Dial(t.Context(), url+"/prices", nil); err == nil || res.StatusCode != 500 {
		t.Errorf("errors: %v", err)
	}
	s, _ := start(t, &kit.Faults{Wrong: 1})
	p := price.Price{Seq: 7}
	if s.shown(p).Seq != 6 {
		t.Error("nothing is wrong")
	}
}

// FuzzWanted reads queries that may be anything.
func FuzzWanted(f *testing.F) {
	f.Add("symbols=ACME,GLOB")
	f.Add("symbols=,%00")
	hub, err := price.NewHub(price.NewGenerator(1), []string{"ACME", "GLOB"}, time.Second)
	if err != nil {
		f.Fatal(err)
	}
	s := New(hub, &kit.Registry{}, &kit.Faults{})
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/prices", nil)
		r.URL.RawQuery = query
		wanted, err := s.wanted(r)
		if (err == nil) != (len(wanted) > 0) || len(wanted) > 2 {
			t.Errorf("%q: %v, %v", query, wanted, err)
		}
	})
}
