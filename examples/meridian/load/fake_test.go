package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// platform is a gateway and a ledger in one, which keep their promises but for the lie that they are told to tell.
type platform struct {
	lie string
	url string

	mu     sync.Mutex
	trades []trade
	byKey  map[string]int
	n      int
}

func newPlatform(t *testing.T, lie string) *platform {
	p := &platform{lie: lie, byKey: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", p.place)
	mux.HandleFunc("GET /orders/{id}", p.get)
	mux.HandleFunc("DELETE /orders/{id}", p.get)
	mux.HandleFunc("GET /trades", p.list)
	mux.HandleFunc("GET /accounts/{name}", p.account)
	mux.HandleFunc("GET /check", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"ok":%v,"violations":["cash is missing"]}`, p.lie != "books")
	})
	mux.HandleFunc("GET /prices", p.prices)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lie != "no version" {
			w.Header().Set(versionHeader, "v1")
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func (p *platform) place(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.n++
	lies := p.n%5 == 0
	key := o.Account + r.Header.Get("Idempotency-Key")
	i, known := p.byKey[key]
	if known && p.lie != "place again" {
		p.show(w, http.StatusOK, p.trades[i])
		return
	}
	if lies {
		switch p.lie {
		case "error":
			w.WriteHeader(http.StatusInternalServerError)
			return
		case "break":
			panic(http.ErrAbortHandler)
		}
	}
	t := trade{ID: fmt.Sprint("T", len(p.trades)), Account: o.Account, Symbol: o.Symbol, Side: o.Side, Quantity: o.Quantity, Price: o.Price, Status: "open", Sequence: int64(len(p.trades) + 1)}
	p.byKey[key] = len(p.trades)
	if !lies || p.lie != "forget" {
		p.trades = append(p.trades, t)
	}
	if lies {
		switch p.lie {
		case "twice":
			t2 := t
			t2.Sequence++
			p.trades = append(p.trades, t2)
		case "another trade":
			t2 := t
			t2.ID, t2.Sequence = t.ID+"X", t.Sequence+1
			p.trades = append(p.trades, t2)
		case "amount":
			p.trades[len(p.trades)-1].Price++
		case "answer":
			t.Quantity++
		}
	}
	p.show(w, http.StatusCreated, t)
}

func (p *platform) show(w http.ResponseWriter, status int, t trade) {
	a := answer{ID: t.ID, order: order{t.Account, t.Symbol, t.Side, t.Quantity, t.Price}, Status: t.Status}
	if t.Status == "reversed" {
		a.Status = "cancelled"
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"id": a.ID, "account": a.Account, "symbol": a.Symbol, "side": a.Side, "quantity": a.Quantity, "limit_price_ticks": a.Price, "status": a.Status})
}

func (p *platform) get(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.trades {
		if t := &p.trades[i]; t.ID == r.PathValue("id") {
			if r.Method == http.MethodDelete && p.lie != "keep" {
				t.Status = "reversed"
			}
			shown := *t
			if r.Method == http.MethodDelete {
				shown.Status = "reversed"
			}
			p.show(w, http.StatusOK, shown)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

func (p *platform) list(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	out := []trade{}
	for _, t := range p.trades {
		if t.Account == r.URL.Query().Get("account") && t.Sequence > after && len(out) < 3 {
			out = append(out, t)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"trades": out, "more": len(out) == 3})
}

func (p *platform) account(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cash, positions := int64(0), map[string]int64{}
	for _, t := range p.trades {
		if t.Account != r.PathValue("name") || t.Status == "reversed" {
			continue
		}
		sign := int64(1)
		if t.Side == "sell" {
			sign = -1
		}
		cash -= sign * t.Quantity * t.Price
		positions[t.Symbol] += sign * t.Quantity
	}
	if p.lie == "cash" {
		cash++
	}
	if p.lie == "position" {
		positions["ACME"]++
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"cash_ticks": cash, "positions": positions})
}

// prices sends a few prices, and then says goodbye.
func (p *platform) prices(w http.ResponseWriter, r *http.Request) {
	if p.lie == "refuse" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow() //nolint:errcheck // closed below, or broken on purpose
	p.mu.Lock()
	p.n++
	begin, stranger := uint64(10*p.n), p.n
	p.mu.Unlock()
	for i := range uint64(5) {
		seq, ticks := begin+i, 100+begin+i
		switch p.lie {
		case "back":
			seq = begin - i
		case "contradict":
			seq, ticks = 1000+i, uint64(stranger)
		case "nonsense":
			_ = c.Write(r.Context(), websocket.MessageText, []byte(strings.Repeat("x", 10)))
			continue
		}
		if c.Write(r.Context(), websocket.MessageText, fmt.Appendf(nil, `{"symbol":"ACME","seq":%d,"price_ticks":%d}`, seq, ticks)) != nil {
			return
		}
	}
	switch p.lie {
	case "drop":
		return
	case "silence":
		<-c.CloseRead(r.Context()).Done()
	}
	_ = c.Close(websocket.StatusGoingAway, "come again")
}
