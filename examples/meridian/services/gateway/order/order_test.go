package order

import (
	"errors"
	"math"
	"testing"
)

func valid() Request {
	return Request{Account: "ACC00001", Symbol: "BRK.B", Side: Buy, Quantity: 100, LimitPriceTicks: 41_250}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Request)
		fields []string // at fault, in order
	}{
		{"as it should be", func(*Request) {}, nil},
		{"plain symbol", func(r *Request) { r.Symbol = "F" }, nil},
		{"largest", func(r *Request) { r.Quantity, r.LimitPriceTicks = MaxQuantity, MaxPriceTicks }, nil},
		{"short account", func(r *Request) { r.Account = "A1" }, []string{"account"}},
		{"account with a line feed", func(r *Request) { r.Account = "ACC00001\n" }, []string{"account"}},
		{"lower-case symbol", func(r *Request) { r.Symbol = "aapl" }, []string{"symbol"}},
		{"no side", func(r *Request) { r.Side = "" }, []string{"side"}},
		{"short sale", func(r *Request) { r.Side = "short" }, []string{"side"}},
		{"nothing", func(r *Request) { r.Quantity = 0 }, []string{"quantity"}},
		{"negative quantity", func(r *Request) { r.Quantity = -1 }, []string{"quantity"}},
		{"too many", func(r *Request) { r.Quantity = MaxQuantity + 1 }, []string{"quantity"}},
		{"free", func(r *Request) { r.LimitPriceTicks = 0 }, []string{"limit_price_ticks"}},
		{"too dear", func(r *Request) { r.LimitPriceTicks = MaxPriceTicks + 1 }, []string{"limit_price_ticks"}},
		{"all at once", func(r *Request) { *r = Request{} }, []string{"account", "symbol", "side", "quantity", "limit_price_ticks"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := valid()
			tt.change(&r)
			var fields []string
			if err := r.Validate(); err != nil {
				var invalid *Invalid
				if !errors.As(err, &invalid) {
					t.Fatalf("error is a %T, want *Invalid", err)
				}
				for _, p := range invalid.Problems {
					fields = append(fields, p.Field)
				}
			}
			if len(fields) != len(tt.fields) {
				t.Fatalf("fields at fault: %v, want %v", fields, tt.fields)
			}
			for i := range fields {
				if fields[i] != tt.fields[i] {
					t.Errorf("field %d at fault: %s, want %s", i, fields[i], tt.fields[i])
				}
			}
		})
	}
}

func TestNotional(t *testing.T) {
	tests := []struct {
		name            string
		quantity, price int64
		want            uint64
	}{
		{"plain", 100, 41_250, 4_125_000},
		{"largest allowed", MaxQuantity, MaxPriceTicks, 1_000_000_000_000_000},
		{"saturates", math.MaxInt64, math.MaxInt64, math.MaxUint64},
		{"negative counts nothing", -1, 100, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Request{Quantity: tt.quantity, LimitPriceTicks: tt.price}
			if got := r.Notional(); got != tt.want {
				t.Errorf("notional = %d, want %d", got, tt.want)
			}
		})
	}
}
