package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian.example/ledger/trade"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// file returns the path of a new database that has been expanded.
func file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "books 100%.db")
	if _, err := Migrate(t.Context(), path, Expand); err != nil {
		t.Fatal(err)
	}
	return path
}

func openStore(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func request(id string) trade.Request {
	return trade.Request{ID: id, Account: "ACC00001", Symbol: "ACME", Side: trade.Buy, Quantity: 10, PriceTicks: 10050}
}

func mustAddUp(t testing.TB, s *Store) Report {
	t.Helper()
	r, err := s.Check(context.Background())
	if err != nil || !r.OK {
		t.Fatalf("the books: %+v, %v", r, err)
	}
	return r
}

func TestLifeOfATrade(t *testing.T) {
	ctx, s := t.Context(), openStore(t, file(t))
	first, replayed, err := s.Post(ctx, "k1", request("T1"), 0)
	if err != nil || replayed || first.Request != request("T1") || first.Status != trade.Open || first.Currency != "USD" || !first.Posted.Equal(noon) {
		t.Fatalf("%+v, %v, %v", first, replayed, err)
	}
	again, replayed, err := s.Post(ctx, "k1", request("T1"), 1) // the limit is no reason to forget it
	if err != nil || !replayed || again != first {
		t.Errorf("again: %+v, %v, %v", again, replayed, err)
	}
	sell := request("T2")
	sell.Side, sell.Quantity = trade.Sell, 4
	if _, _, err := s.Post(ctx, "k2", sell, 0); err != nil {
		t.Fatal(err)
	}
	a, err := s.Account(ctx, "ACC00001")
	if err != nil || a.CashTicks != -6*10050 || a.OpenTicks != 14*10050 || a.Positions["ACME"] != 6 {
		t.Errorf("account: %+v, %v", a, err)
	}
	for i, want := range []bool{true, false} {
		got, changed, err := s.Reverse(ctx, "T1")
		if err != nil || changed != want || got.Status != trade.Reversed || !got.Reversed.Equal(noon) {
			t.Errorf("reversal %d: %+v, %v, %v", i, got, changed, err)
		}
	}
	if a, err := s.Account(ctx, "ACC00001"); err != nil || a.CashTicks != 4*10050 || a.OpenTicks != 4*10050 || a.Positions["ACME"] != -4 {
		t.Errorf("account: %+v, %v", a, err)
	}
	if got, err := s.Get(ctx, "T1"); err != nil || got.Status != trade.Reversed {
		t.Errorf("get: %+v, %v", got, err)
	}
	if again, replayed, err := s.Post(ctx, "k1", request("T1"), 0); err != nil || !replayed || again.Status != trade.Reversed {
		t.Errorf("a reversed one is not posted anew: %+v, %v, %v", again, replayed, err)
	}
	if r := mustAddUp(t, s); r.Trades != 2 || r.Entries != 12 {
		t.Errorf("%+v", r)
	}
	list, err := s.List(ctx, "ACC00001", 0, 10)
	if err != nil || len(list) != 2 || list[0].ID != "T1" || list[1].ID != "T2" {
		t.Errorf("list: %+v, %v", list, err)
	}
	if list, err := s.List(ctx, "ACC00001", list[0].Sequence, 10); err != nil || len(list) != 1 || list[0].ID != "T2" {
		t.Errorf("the rest of the list: %+v, %v", list, err)
	}
	if a, err := s.Account(ctx, "NOBODY"); err != nil || a.CashTicks != 0 || len(a.Positions) != 0 {
		t.Errorf("nobody: %+v, %v", a, err)
	}
}

func TestRefusals(t *testing.T) {
	ctx, s := t.Context(), openStore(t, file(t))
	if _, _, err := s.Post(ctx, "k1", request("T1"), 150_000); err != nil {
		t.Fatal(err)
	}
	other := request("T1")
	other.Quantity++
	if _, _, err := s.Post(ctx, "k1", other, 0); !errors.Is(err, ErrKeyReused) {
		t.Errorf("the key for another trade: %v", err)
	}
	if _, _, err := s.Post(ctx, "k2", request("T1"), 0); !errors.Is(err, ErrKeyReused) {
		t.Errorf("the number under another key: %v", err)
	}
	var over *OverLimit
	if _, _, err := s.Post(ctx, "k2", request("T2"), 150_000); !errors.As(err, &over) || over.Open != 100_500 || over.Trade != 100_500 || over.Limit != 150_000 {
		t.Errorf("over the limit: %v", err)
	}
	if _, _, err := s.Post(ctx, "k2", trade.Request{}, 0); err == nil {
		t.Error("nothing is posted")
	}
	if _, _, err := s.Reverse(ctx, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("reverse nothing: %v", err)
	}
	if _, err := s.Get(ctx, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get nothing: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := s.Post(gone, "k3", request("T3"), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that is gone: %v", err)
	}
	if r := mustAddUp(t, s); r.Trades != 1 {
		t.Errorf("a refusal left a trace: %+v", r)
	}
}

func TestBalancesStayExact(t *testing.T) {
	ctx, s := t.Context(), openStore(t, file(t))
	if _, err := s.writer.conn.ExecContext(ctx, `INSERT INTO balances VALUES ('ACC00001', 'cash', ?)`, -maxBalance+5); err != nil {
		t.Fatal(err)
	}
	var large *TooLarge
	if _, _, err := s.Post(ctx, "k", request("T1"), 0); !errors.As(err, &large) || large.Asset != "cash" {
		t.Errorf("%v", err)
	}
}

// TestModel compares the store with a simple one in memory, over a random history.
func TestModel(t *testing.T) {
	ctx, s := t.Context(), openStore(t, file(t))
	random := rand.New(rand.NewPCG(1, 2))
	type state struct {
		request  trade.Request
		reversed bool
	}
	trades := map[string]*state{}
	for range 400 {
		id := fmt.Sprint("T", random.IntN(150))
		known := trades[id]
		if random.IntN(4) == 0 {
			_, changed, err := s.Reverse(ctx, id)
			switch {
			case known == nil && !errors.Is(err, ErrNotFound), known != nil && (err != nil || changed == known.reversed):
				t.Fatalf("reverse %s, which is %+v: %v, %v", id, known, changed, err)
			case known != nil:
				known.reversed = true
			}
			continue
		}
		r := trade.Request{ID: id, Account: fmt.Sprint("ACC", random.IntN(3)), Symbol: []string{"ACME", "GLOB"}[random.IntN(2)],
			Side: []trade.Side{trade.Buy, trade.Sell}[random.IntN(2)], Quantity: 1 + random.Int64N(3), PriceTicks: 100}
		_, replayed, err := s.Post(ctx, "key of "+id, r, 0)
		switch {
		case known == nil:
			trades[id] = &state{request: r}
			if err != nil || replayed {
				t.Fatalf("post %s: %v, %v", id, replayed, err)
			}
		case known.request == r && (err != nil || !replayed), known.request != r && !errors.Is(err, ErrKeyReused):
			t.Fatalf("post %s again: %v, %v", id, replayed, err)
		}
	}
	want := map[string]Account{}
	for _, st := range trades {
		r := st.request
		a, ok := want[r.Account]
		if !ok {
			a.Positions = map[string]int64{}
		}
		if !st.reversed {
			sign := int64(1)
			if r.Side == trade.Sell {
				sign = -1
			}
			a.CashTicks -= sign * r.Quantity * r.PriceTicks
			a.OpenTicks += r.Quantity * r.PriceTicks
			a.Positions[r.Symbol] += sign * r.Quantity
		}
		want[r.Account] = a
	}
	for account, w := range want {
		got, err := s.Account(ctx, account)
		if err != nil || got.CashTicks != w.CashTicks || got.OpenTicks != w.OpenTicks || got.Positions["ACME"] != w.Positions["ACME"] || got.Positions["GLOB"] != w.Positions["GLOB"] {
			t.Errorf("%s: %+v, want %+v, error %v", account, got, w, err)
		}
	}
	if r := mustAddUp(t, s); r.Trades != int64(len(trades)) {
		t.Errorf("%d trades, want %d", r.Trades, len(trades))
	}
}

// TestTwoStores has two of them post the same trades, to the same accounts, at the same time, as two versions do during a release.
func TestTwoStores(t *testing.T) {
	ctx, path := t.Context(), file(t)
	const senders, each, limit = 4, 30, 100 * 100_500
	var posted, over [2]int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for which := range 2 {
		s := openStore(t, path)
		for sender := range senders {
			wg.Go(func() {
				for i := range each {
					id := fmt.Sprintf("T%dX%d", sender, i)
					_, replayed, err := s.Post(ctx, id, request(id), limit)
					mu.Lock()
					switch {
					case errors.As(err, new(*OverLimit)):
						over[which]++
					case err != nil:
						t.Errorf("post %s: %v", id, err)
					case !replayed:
						posted[which]++
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	s := openStore(t, path)
	if r := mustAddUp(t, s); r.Trades != 100 || posted[0]+posted[1] != 100 {
		t.Errorf("%d trades, %v of them posted by each, %v over the limit; there is room for exactly 100", r.Trades, posted, over)
	}
}

func TestCloseWithChangesUnderWay(t *testing.T) {
	ctx, path := t.Context(), file(t)
	s, err := Open(ctx, path, Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := map[string]bool{}
	started := make(chan struct{}, 1)
	for sender := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("T%dX%d", sender, i)
				_, _, err := s.Post(ctx, id, request(id), 0)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err == nil {
					mu.Lock()
					done[id] = true
					mu.Unlock()
				}
				select {
				case started <- struct{}{}:
				default:
				}
				if err != nil {
					t.Errorf("post: %v", err)
					return
				}
			}
		})
	}
	<-started
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
	s = openStore(t, path)
	for id := range done {
		if _, err := s.Get(ctx, id); err != nil {
			t.Errorf("%s was answered for: %v", id, err)
		}
	}
	mustAddUp(t, s)
}

// TestCheckFinds breaks the books in each way.
func TestCheckFinds(t *testing.T) {
	tests := []struct{ name, sql, want string }{
		{"an entry too large", `UPDATE entries SET amount = amount + 1 WHERE trade = 1 AND leg = 0`, "the entries in ACME add up to 1"},
		{"the same on both sides", `UPDATE entries SET amount = amount * 2 WHERE trade = 1 AND asset = 'ACME'`, "the trade T1 has not the entries"},
		{"a leg missing", `DELETE FROM entries WHERE trade = 1 AND leg = 1`, "the trade T1 has not the entries"},
		{"a position without cash", `DELETE FROM entries WHERE trade = 1 AND asset = 'cash'`, "the trade T1 has not the entries"},
		{"a reversal missing", `UPDATE trades SET reversed = 1 WHERE id = 'T1'`, "the trade T1 has not the entries it should have (reversal: 1)"},
		{"a reversal too many", `UPDATE trades SET reversed = NULL WHERE id = 'T2'`, "entries of number 2 (reversal: 1), which no trade has"},
		{"a balance", `UPDATE balances SET amount = 7 WHERE account = 'ACC00001' AND asset = 'cash'`, "the balance of ACC00001 in cash is 7, and its entries add up to -100500"},
		{"a balance missing", `DELETE FROM balances WHERE account = 'street' AND asset = 'ACME'`, "the balance of street in ACME is missing"},
		{"a balance of nobody", `INSERT INTO balances VALUES ('NOBODY', 'ACME', 0)`, "the balance of NOBODY in ACME is 0, and its entries add up to nothing"},
		{"what is open", `UPDATE exposures SET open_ticks = 0`, "account ACC00001 has 0 ticks open, and its trades 100500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, s := t.Context(), openStore(t, file(t))
			for _, id := range []string{"T1", "T2"} {
				if _, _, err := s.Post(ctx, id, request(id), 0); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := s.Reverse(ctx, "T2"); err != nil {
				t.Fatal(err)
			}
			mustAddUp(t, s)
			if _, err := s.writer.conn.ExecContext(ctx, tt.sql); err != nil {
				t.Fatal(err)
			}
			r, err := s.Check(ctx)
			if err != nil || r.OK || !strings.Contains(strings.Join(r.Violations, "\n"), tt.want) {
				t.Errorf("%+v, %v; want %q", r, err, tt.want)
			}
		})
	}
}

func BenchmarkPost(b *testing.B) {
	s := openStore(b, file(b))
	b.SetParallelism(32)
	var mu sync.Mutex
	n := 0
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			id := fmt.Sprint("T", n)
			mu.Unlock()
			if _, _, err := s.Post(context.Background(), id, request(id), 0); err != nil {
				b.Error(err)
			}
		}
	})
}
