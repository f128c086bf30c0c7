// Package order is the gateway's domain: what an order is, which orders are well-formed, how much an account may have open,
// and that the same request sent twice places one order.
//
// It knows nothing of HTTP and of where orders are kept for good: a Book is for a gateway that stands alone.
package order

import (
	"fmt"
	"math/bits"
	"regexp"
	"strings"
	"time"
)

// Side says which way an order goes.
type Side string

// The sides of an order.
const (
	Buy  Side = "buy"
	Sell Side = "sell"
)

// Status is where an order stands.
type Status string

// The states of an order: open until it is cancelled. Fills are the exchange connection's business, not the gateway's.
const (
	Open      Status = "open"
	Cancelled Status = "cancelled"
)

// TicksPerUnit is how many ticks make one unit of the currency: prices are whole cents, never floating point.
const TicksPerUnit = 100

// Bounds of a single order.
const (
	MaxQuantity   = 1_000_000
	MaxPriceTicks = 10_000_000 * TicksPerUnit
)

// Request is what a client asks for.
type Request struct {
	Account string `json:"account"`
	Symbol  string `json:"symbol"`
	Side    Side   `json:"side"`
	// Quantity is a number of shares, from 1 to MaxQuantity.
	Quantity int64 `json:"quantity"`
	// LimitPriceTicks is the worst price taken, in ticks, from 1 to MaxPriceTicks.
	LimitPriceTicks int64 `json:"limit_price_ticks"`
}

// Order is a request that was accepted.
type Order struct {
	ID string `json:"id"`
	Request
	Status   Status    `json:"status"`
	Accepted time.Time `json:"accepted"`
}

// Problem is one thing wrong with a request.
type Problem struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Invalid is the error for a request that can never be accepted as it is. It lists all that is wrong.
type Invalid struct{ Problems []Problem }

// Error lists the problems.
func (e *Invalid) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.Field + ": " + p.Message
	}
	return "invalid order: " + strings.Join(parts, "; ")
}

var (
	account = regexp.MustCompile(`^[A-Z0-9]{4,16}$`)
	// A root of up to five letters with a class or suffix, such as BRK.B.
	symbol = regexp.MustCompile(`^[A-Z]{1,5}(\.[A-Z]{1,2})?$`)
)

// Validate returns nil or an *Invalid.
func (r Request) Validate() error {
	var ps []Problem
	check := func(ok bool, field, format string, args ...any) {
		if !ok {
			ps = append(ps, Problem{field, fmt.Sprintf(format, args...)})
		}
	}
	check(account.MatchString(r.Account), "account", "must be 4 to 16 capital letters or digits")
	check(symbol.MatchString(r.Symbol), "symbol", "must be 1 to 5 capital letters, optionally a class such as .B")
	check(r.Side == Buy || r.Side == Sell, "side", "must be %q or %q", Buy, Sell)
	check(r.Quantity >= 1 && r.Quantity <= MaxQuantity, "quantity", "must be from 1 to %d", MaxQuantity)
	check(r.LimitPriceTicks >= 1 && r.LimitPriceTicks <= MaxPriceTicks, "limit_price_ticks", "must be from 1 to %d", MaxPriceTicks)
	if ps != nil {
		return &Invalid{Problems: ps}
	}
	return nil
}

// Notional returns the value of the order in ticks: quantity times price. It saturates instead of overflowing, so that an
// absurd order is over any limit rather than below it.
func (r Request) Notional() uint64 {
	if r.Quantity <= 0 || r.LimitPriceTicks <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(r.Quantity), uint64(r.LimitPriceTicks))
	if hi != 0 {
		return ^uint64(0)
	}
	return lo
}
