package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// trade is an order as the ledger has it.
type trade struct {
	ID       string `json:"id"`
	Account  string `json:"account"`
	Symbol   string `json:"symbol"`
	Side     string `json:"side"`
	Quantity int64  `json:"quantity"`
	Price    int64  `json:"price_ticks"`
	Status   string `json:"status"`
	Sequence int64  `json:"sequence"`
}

// auditor compares what was accepted with what the ledger has.
type auditor struct {
	ledger  string
	http    *http.Client
	timeout time.Duration
	tally   *tally
}

// get asks the ledger. What goes wrong is counted.
func (a *auditor) get(path string, into any) bool {
	ctx, cancel := context.WithTimeout(context.Background(), a.timeout)
	defer cancel()
	err := func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.ledger+path, nil)
		if err != nil {
			return err
		}
		res, err := a.http.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %.300q", res.Status, text)
		}
		return json.Unmarshal(text, into)
	}()
	if err != nil {
		a.tally.fail("ask the ledger for %s: %v", path, err)
	}
	return err == nil
}

// account looks whether each order that was accepted is in the ledger exactly once with its amounts, whether what was
// cancelled is reversed, whether there is nothing that nobody sent, and whether the balances follow from it.
func (a *auditor) account(client *account) {
	var trades []trade
	for after, more := int64(0), true; more; {
		var page struct {
			Trades []trade `json:"trades"`
			More   bool    `json:"more"`
		}
		if !a.get(fmt.Sprintf("/trades?account=%s&after=%d", client.name, after), &page) {
			return
		}
		if len(page.Trades) > 0 {
			after = page.Trades[len(page.Trades)-1].Sequence
		}
		trades, more = append(trades, page.Trades...), page.More && len(page.Trades) > 0
	}
	client.mu.Lock()
	defer client.mu.Unlock()
	found := map[string][]trade{}
	for _, t := range trades {
		found[t.ID] = append(found[t.ID], t)
	}
	verified := uint64(0)
	for _, o := range client.orders {
		ts := found[o.id]
		delete(found, o.id)
		switch {
		case len(ts) == 0:
			a.tally.wrong("the order %s of %s was accepted, and the ledger does not have it", o.id, client.name)
		case len(ts) > 1:
			a.tally.wrong("the order %s of %s is in the ledger %d times", o.id, client.name, len(ts))
		case (order{ts[0].Account, ts[0].Symbol, ts[0].Side, ts[0].Quantity, ts[0].Price}) != o.order:
			a.tally.wrong("the order %s is %+v, and in the ledger %+v", o.id, o.order, ts[0])
		case o.done && ts[0].Status != "reversed", !o.touched && ts[0].Status != "open":
			a.tally.wrong("the order %s (cancelled: %v) is %s in the ledger", o.id, o.done, ts[0].Status)
		default:
			verified++
		}
	}
	if len(found) > client.doubtful {
		a.tally.wrong("the ledger has %d trades of %s that were not accepted, of %d orders without a certain answer", len(found), client.name, client.doubtful)
	}
	a.balances(client.name, trades)
	a.tally.with(func(s *summary) { s.Verified += verified })
}

// balances compares those of an account with its trades.
func (a *auditor) balances(name string, trades []trade) {
	var got struct {
		Cash      int64            `json:"cash_ticks"`
		Positions map[string]int64 `json:"positions"`
	}
	if !a.get("/accounts/"+name, &got) {
		return
	}
	cash, positions := int64(0), map[string]int64{}
	for _, t := range trades {
		sign := int64(1)
		switch {
		case t.Status == "reversed":
			sign = 0
		case t.Side == "sell":
			sign = -1
		}
		cash -= sign * t.Quantity * t.Price
		positions[t.Symbol] += sign * t.Quantity
	}
	if got.Cash != cash {
		a.tally.wrong("account %s has %d ticks, and by its trades %d", name, got.Cash, cash)
	}
	for symbol, want := range positions {
		if got.Positions[symbol] != want {
			a.tally.wrong("account %s has %d %s, and by its trades %d", name, got.Positions[symbol], symbol, want)
		}
	}
}

// books asks whether all of the ledger adds up.
func (a *auditor) books() {
	var report struct {
		OK         bool     `json:"ok"`
		Violations []string `json:"violations"`
	}
	if a.get("/check", &report) && !report.OK {
		a.tally.wrong("the books do not add up: %v", report.Violations)
	}
}
