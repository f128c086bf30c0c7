// Package trade is the ledger's domain: what may be posted, and which entries it makes. It promises that the entries of a
// trade add up to nothing in each asset, and that no position moves without its cash. It knows nothing of HTTP and of
// where entries are kept.
package trade

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Side says which way a trade goes for its account.
type Side string

// The sides of a trade.
const (
	Buy  Side = "buy"
	Sell Side = "sell"
)

// Names that no account and no symbol can have, as those are in capital letters.
const (
	// Cash is the asset that everything is paid in, in ticks.
	Cash = "cash"
	// Street is the account of everybody outside, the other side of each trade.
	Street = "street"
)

// Bounds of one trade. The largest moves 10^15 ticks.
const (
	MaxQuantity   = 1_000_000
	MaxPriceTicks = 1_000_000_000
)

// Request is what is to be posted.
type Request struct {
	// ID is 1 to 64 capital letters and digits, chosen by the one who posts.
	ID      string `json:"id"`
	Account string `json:"account"`
	Symbol  string `json:"symbol"`
	Side    Side   `json:"side"`
	// Quantity is a number of shares, from 1 to MaxQuantity.
	Quantity int64 `json:"quantity"`
	// PriceTicks is the price of one, from 1 to MaxPriceTicks.
	PriceTicks int64 `json:"price_ticks"`
}

// Trade is a request that was posted.
type Trade struct {
	Request
	Currency string `json:"currency"`
	Status   Status `json:"status"`
	// Sequence grows from trade to trade.
	Sequence int64     `json:"sequence"`
	Posted   time.Time `json:"posted"`
	// Reversed is zero for a trade that stands.
	Reversed time.Time `json:"reversed,omitzero"`
}

// Status is whether a trade stands.
type Status string

// The states of a trade.
const (
	Open     Status = "open"
	Reversed Status = "reversed"
)

// Entry is one line of the ledger.
type Entry struct {
	Account, Asset string
	// Amount is in shares or ticks; below zero where it goes away.
	Amount int64
}

// Invalid is the error for a request that can never be posted as it is. It lists all that is wrong.
type Invalid struct{ Problems []string }

// Error lists the problems.
func (e *Invalid) Error() string { return "invalid trade: " + strings.Join(e.Problems, "; ") }

var (
	id      = regexp.MustCompile(`^[A-Z0-9]{1,64}$`)
	account = regexp.MustCompile(`^[A-Z0-9]{4,16}$`)
	symbol  = regexp.MustCompile(`^[A-Z]{1,5}(\.[A-Z]{1,2})?$`)
)

// Validate returns nil or an *Invalid.
func (r Request) Validate() error {
	var ps []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			ps = append(ps, fmt.Sprintf(format, args...))
		}
	}
	check(id.MatchString(r.ID), "id: must be 1 to 64 capital letters or digits")
	check(account.MatchString(r.Account), "account: must be 4 to 16 capital letters or digits")
	check(symbol.MatchString(r.Symbol), "symbol: must be 1 to 5 capital letters, optionally a class such as .B")
	check(r.Side == Buy || r.Side == Sell, "side: must be %q or %q", Buy, Sell)
	check(r.Quantity >= 1 && r.Quantity <= MaxQuantity, "quantity: must be from 1 to %d", MaxQuantity)
	check(r.PriceTicks >= 1 && r.PriceTicks <= MaxPriceTicks, "price_ticks: must be from 1 to %d", MaxPriceTicks)
	if ps != nil {
		return &Invalid{Problems: ps}
	}
	return nil
}

// Notional returns the value of a valid request in ticks.
func (r Request) Notional() int64 { return r.Quantity * r.PriceTicks }

// Entries returns the lines of a valid request: what its account gets and gives, and the same for the street the other
// way round. A reversal has the same lines with the signs changed.
func (r Request) Entries(reversal bool) [4]Entry {
	shares, ticks := r.Quantity, -r.Notional()
	if (r.Side == Sell) != reversal {
		shares, ticks = -shares, -ticks
	}
	return [4]Entry{
		{r.Account, r.Symbol, shares},
		{r.Account, Cash, ticks},
		{Street, r.Symbol, -shares},
		{Street, Cash, -ticks},
	}
}
