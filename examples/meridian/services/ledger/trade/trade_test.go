package trade

import (
	"errors"
	"testing"
)

func valid() Request {
	return Request{ID: "T1", Account: "ACC00001", Symbol: "BRK.B", Side: Buy, Quantity: 100, PriceTicks: 41_250}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name     string
		change   func(*Request)
		problems int
	}{
		{"as it should be", func(*Request) {}, 0},
		{"largest", func(r *Request) { r.Quantity, r.PriceTicks = MaxQuantity, MaxPriceTicks }, 0},
		{"no id", func(r *Request) { r.ID = "" }, 1},
		{"the street", func(r *Request) { r.Account = Street }, 1},
		{"cash", func(r *Request) { r.Symbol = Cash }, 1},
		{"side", func(r *Request) { r.Side = "hold" }, 1},
		{"nothing", func(r *Request) { r.Quantity = 0 }, 1},
		{"too dear", func(r *Request) { r.PriceTicks = MaxPriceTicks + 1 }, 1},
		{"all at once", func(r *Request) { *r = Request{} }, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := valid()
			tt.change(&r)
			n := 0
			if err := r.Validate(); err != nil {
				var invalid *Invalid
				if !errors.As(err, &invalid) {
					t.Fatalf("error is a %T", err)
				}
				n = len(invalid.Problems)
			}
			if n != tt.problems {
				t.Errorf("%d problems, want %d: %v", n, tt.problems, r.Validate())
			}
		})
	}
}

func TestEntries(t *testing.T) {
	for _, side := range []Side{Buy, Sell} {
		for _, reversal := range []bool{false, true} {
			r := valid()
			r.Side = side
			sums := map[string]int64{}
			for _, e := range r.Entries(reversal) {
				sums[e.Asset] += e.Amount
				if e.Account == r.Account && e.Asset == r.Symbol && (e.Amount > 0) != ((side == Buy) != reversal) {
					t.Errorf("%s, reversal %v: the account's position moves by %d", side, reversal, e.Amount)
				}
			}
			if len(sums) != 2 || sums[Cash] != 0 || sums[r.Symbol] != 0 {
				t.Errorf("%s: sums %v", side, sums)
			}
			if e := r.Entries(reversal); e[0].Amount*e[1].Amount >= 0 || e[1].Amount*e[1].Amount != r.Notional()*r.Notional() {
				t.Errorf("%s: position %+v without its cash %+v", side, e[0], e[1])
			}
		}
	}
}
