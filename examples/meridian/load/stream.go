package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"
)

// stream holds a WebSocket of prices until it ends. It is a watcher's connect.
func (w *watcher) stream(ctx context.Context, url string, timeout time.Duration, begun func(string)) error {
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, res, err := websocket.Dial(dialing, url+"/prices", nil)
	if err != nil {
		return err
	}
	defer c.CloseNow() //nolint:errcheck // closed well where it ends well
	begun(res.Header.Get(versionHeader))
	for {
		reading, cancel := context.WithTimeout(ctx, w.silence)
		_, b, err := c.Read(reading)
		late := reading.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case late:
			return fmt.Errorf("no price came for %s", w.silence)
		case ctx.Err() != nil:
			_ = c.Close(websocket.StatusNormalClosure, "") // it is over either way
			return ctx.Err()
		case websocket.CloseStatus(err) == websocket.StatusGoingAway:
			return errMoved
		case err != nil:
			return err
		}
		var p struct {
			Symbol string `json:"symbol"`
			Seq    uint64 `json:"seq"`
			Ticks  int64  `json:"price_ticks"`
		}
		if err := json.Unmarshal(b, &p); err != nil || p.Symbol == "" {
			w.tally.wrong("%s: %.100q is no price", w.who, b)
			continue
		}
		w.see(p.Symbol, p.Seq, p.Ticks)
	}
}
