package route

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestMirror copies requests to a shadow, whose answers nobody sees, and which holds up nobody.
func TestMirror(t *testing.T) {
	r := newRouter(t, Options{})
	type copied struct{ mark, body string }
	seen := make(chan copied, 256)
	hold := make(chan struct{})
	shadow := newInstance(t, "2", func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		seen <- copied{req.Header.Get(MirrorHeader), string(b)}
		if string(b) == "hold" {
			<-hold
		}
		http.Error(w, "no", http.StatusInternalServerError)
	})
	t.Cleanup(func() { close(hold) })
	i := newInstance(t, "1", nil)
	table := one(HTTP, []Arm{armOf("1", 0, i.Endpoint), armOf("2", 0, shadow.Endpoint)}, func(tab *Table) { tab.Services[0].Mirror = &Mirror{Version: "2", Share: Whole} })
	addr := apply(t, r, table)
	c := newClient(t)
	post := func(body string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/x", strings.NewReader(body))
		req.Header.Set(MirrorHeader, "2") // callers cannot say so
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || string(b) != "POST /x "+body {
			t.Fatalf("answered %s %.80q", resp.Status, b)
		}
	}
	for _, body := range []string{"", "short", strings.Repeat("long", 50_000)} {
		post(body)
		if got := <-seen; got.mark != "1" || got.body != body {
			t.Errorf("the copy of %.20q is %.40q, marked %q", body, got.body, got.mark)
		}
	}
	table.Services[0].Mirror.Methods = []string{"GET", "HEAD"}
	apply(t, r, table)
	post("not copied")
	table.Services[0].Mirror.Methods = []string{"GET", "POST"}
	apply(t, r, table)
	post("copied")
	if got := <-seen; got.body != "copied" {
		t.Errorf("%q is copied", got.body)
	}
	post(strings.Repeat("x", mirrorBody+1))
	until(t, "one that is too long", func() bool { return value(t, r, "gantry_mirrored_total", "outcome", "skipped") == 1 })
	for range mirrorsAtOnce {
		post("hold")
		<-seen
	}
	post("hold")
	until(t, "one too many", func() bool { return value(t, r, "gantry_mirrored_total", "outcome", "skipped") == 2 })
	if requests(r, "1", "2xx") != float64(3+2+1+mirrorsAtOnce+1) || requests(r, "2", "5xx") != 0 {
		t.Error("copies count as requests")
	}
	table.Services[0].Mirror.Version = "1"
	table.Services[0].Arms = table.Services[0].Arms[:1]
	table.Services[0].Mirror.Share = 0
	apply(t, r, table)
	post("none")
}
