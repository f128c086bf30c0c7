package route

import (
	"context"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

// TestWebSocket speaks WebSocket by a library at both ends, over a switch.
func TestWebSocket(t *testing.T) {
	r := newRouter(t, Options{})
	serve := func(version string) *instance {
		return newInstance(t, version, func(w http.ResponseWriter, req *http.Request) {
			c, err := websocket.Accept(w, req, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for {
				kind, b, err := c.Read(req.Context())
				if err != nil || c.Write(req.Context(), kind, append([]byte(version+": "), b...)) != nil {
					return
				}
			}
		})
	}
	old, next := serve("1"), serve("2")
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, old.Endpoint)}))
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	dial := func() *websocket.Conn {
		t.Helper()
		c, _, err := websocket.Dial(ctx, "ws://"+addr+"/prices", nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	say := func(c *websocket.Conn, want string) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, b, err := c.Read(ctx); err != nil || string(b) != want {
			t.Errorf("%q came instead of %q, %v", b, want, err)
		}
	}
	first := dial()
	say(first, "1: hello")
	apply(t, r, one(HTTP, []Arm{armOf("2", 0, next.Endpoint)}))
	second := dial()
	say(first, "1: hello")
	say(second, "2: hello")
	for _, c := range []*websocket.Conn{first, second} {
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
	if n, err := r.Drain(ctx, old.ID); n != 0 || err != nil {
		t.Errorf("%d were cut off, %v", n, err)
	}
}
