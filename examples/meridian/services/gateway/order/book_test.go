package order

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

var ctx = context.Background()

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newBook(limit uint64) *Book {
	return NewBook(limit, 1000, func() time.Time { return noon })
}

func TestPlaceTwiceIsOneOrder(t *testing.T) {
	b := newBook(1 << 40)
	first, replayed, err := b.Place(ctx, "k1", valid())
	if err != nil || replayed {
		t.Fatalf("first: replayed %v, error %v", replayed, err)
	}
	again, replayed, err := b.Place(ctx, "k1", valid())
	if err != nil || !replayed || again != first {
		t.Errorf("again: %+v, replayed %v, error %v; want the first order", again, replayed, err)
	}
	if got, want := b.OpenTicks("ACC00001"), valid().Notional(); got != want {
		t.Errorf("open = %d, want %d: a replay must not count twice", got, want)
	}
}

func TestKeyBelongsToOneRequestOfOneAccount(t *testing.T) {
	b := newBook(1 << 40)
	if _, _, err := b.Place(ctx, "k1", valid()); err != nil {
		t.Fatal(err)
	}
	other := valid()
	other.Quantity++
	if _, _, err := b.Place(ctx, "k1", other); !errors.Is(err, ErrKeyReused) {
		t.Errorf("another request: error %v, want ErrKeyReused", err)
	}
	other = valid()
	other.Account = "ACC00002"
	if _, replayed, err := b.Place(ctx, "k1", other); err != nil || replayed {
		t.Errorf("another account: replayed %v, error %v", replayed, err)
	}
}

func TestRiskLimit(t *testing.T) {
	r := valid()
	b := newBook(2 * r.Notional())
	for i := range 2 {
		if _, _, err := b.Place(ctx, fmt.Sprint(i), r); err != nil {
			t.Fatalf("order %d, up to the limit: %v", i, err)
		}
	}
	_, _, err := b.Place(ctx, "2", r)
	var over *OverLimit
	if !errors.As(err, &over) {
		t.Fatalf("over the limit: error %v, want *OverLimit", err)
	}
	if over.Open != 2*r.Notional() || over.Order != r.Notional() {
		t.Errorf("figures: %+v", over)
	}
	r.Account = "ACC00002"
	if _, _, err := b.Place(ctx, "0", r); err != nil {
		t.Errorf("another account has a limit of its own: %v", err)
	}
}

func TestCancelFreesOnce(t *testing.T) {
	r := valid()
	b := newBook(r.Notional())
	o, _, err := b.Place(ctx, "k", r)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		got, changed, err := b.Cancel(ctx, o.ID)
		if err != nil || changed != want || got.Status != Cancelled {
			t.Errorf("cancel %d: %+v, changed %v, error %v", i, got, changed, err)
		}
	}
	if got := b.OpenTicks(r.Account); got != 0 {
		t.Errorf("open after cancel = %d", got)
	}
	if _, _, err := b.Cancel(ctx, "nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("cancel of nothing: %v, want ErrNotFound", err)
	}
}

func TestFullBook(t *testing.T) {
	b := NewBook(1<<40, 1, time.Now)
	if _, _, err := b.Place(ctx, "a", valid()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Place(ctx, "b", valid()); !errors.Is(err, ErrFull) {
		t.Errorf("error %v, want ErrFull", err)
	}
	if _, replayed, err := b.Place(ctx, "a", valid()); err != nil || !replayed {
		t.Errorf("a replay needs no room: replayed %v, error %v", replayed, err)
	}
}

// TestConcurrentPlace sends the same few requests from many goroutines: each places one order, and the sum stays exact.
func TestConcurrentPlace(t *testing.T) {
	const keys, senders = 20, 8
	r := valid()
	b := newBook(1 << 50)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for k := range keys {
				if _, _, err := b.Place(ctx, fmt.Sprint(k), r); err != nil {
					t.Errorf("key %d: %v", k, err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := b.OpenTicks(r.Account), keys*r.Notional(); got != want {
		t.Errorf("open = %d, want %d", got, want)
	}
}
