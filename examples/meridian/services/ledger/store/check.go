package store

import (
	"context"
	"database/sql"
	"fmt"

	"meridian.example/ledger/trade"
)

// maxViolations bounds how many violations of one kind are told.
const maxViolations = 10

// Report is whether the books add up.
type Report struct {
	OK      bool  `json:"ok"`
	Trades  int64 `json:"trades"`
	Entries int64 `json:"entries"`
	// Violations say in words what does not add up; up to 10 of a kind.
	Violations []string `json:"violations,omitempty"`
}

// invariants are questions whose answers are violations, each with a text in its first column.
var invariants = []string{
	// The sum of all entries is zero in each asset.
	`SELECT printf('the entries in %s add up to %d', asset, SUM(amount)) FROM entries GROUP BY asset HAVING SUM(amount) <> 0`,
	// Each trade, and each reversal, has its position and its cash, on both sides and with the right amounts.
	`WITH want AS (
		SELECT seq, id, account, symbol, 0 AS reversal, iif(side = 'buy', 1, -1) * quantity AS shares, iif(side = 'buy', -1, 1) * quantity * price_ticks AS ticks FROM trades
		UNION ALL
		SELECT seq, id, account, symbol, 1, iif(side = 'buy', -1, 1) * quantity, iif(side = 'buy', 1, -1) * quantity * price_ticks FROM trades WHERE reversed IS NOT NULL
	), sums AS (
		SELECT trade, reversal, COUNT(*) AS legs FROM entries GROUP BY trade, reversal
	)
	SELECT printf('the trade %s has not the entries it should have (reversal: %d)', id, want.reversal) FROM want LEFT JOIN sums ON trade = seq AND sums.reversal = want.reversal
	WHERE legs IS NOT 4
		OR NOT EXISTS (SELECT 1 FROM entries e WHERE e.trade = seq AND e.reversal = want.reversal AND e.account = want.account AND e.asset = symbol AND e.amount = shares)
		OR NOT EXISTS (SELECT 1 FROM entries e WHERE e.trade = seq AND e.reversal = want.reversal AND e.account = want.account AND e.asset = '` + trade.Cash + `' AND e.amount = ticks)
		OR NOT EXISTS (SELECT 1 FROM entries e WHERE e.trade = seq AND e.reversal = want.reversal AND e.account = '` + trade.Street + `' AND e.asset = symbol AND e.amount = -shares)
		OR NOT EXISTS (SELECT 1 FROM entries e WHERE e.trade = seq AND e.reversal = want.reversal AND e.account = '` + trade.Street + `' AND e.asset = '` + trade.Cash + `' AND e.amount = -ticks)`,
	// There are no entries but those of trades and reversals.
	`SELECT DISTINCT printf('there are entries of number %d (reversal: %d), which no trade has', trade, reversal) FROM entries LEFT JOIN trades ON seq = trade
		WHERE seq IS NULL OR (reversal = 1 AND reversed IS NULL)`,
	// Balances are the sums of entries.
	`SELECT printf('the balance of %s in %s is %s, and its entries add up to %s', COALESCE(b.account, s.account), COALESCE(b.asset, s.asset), COALESCE(amount, 'missing'), COALESCE(total, 'nothing'))
		FROM balances b FULL JOIN (SELECT account, asset, SUM(amount) AS total FROM entries GROUP BY account, asset) s ON b.account = s.account AND b.asset = s.asset
		WHERE amount IS NOT total`,
	// What is open is the notional of the trades that stand.
	`SELECT printf('account %s has %d ticks open, and its trades %d', COALESCE(e.account, s.account), COALESCE(open_ticks, 0), COALESCE(total, 0))
		FROM exposures e FULL JOIN (SELECT account, SUM(quantity * price_ticks) AS total FROM trades WHERE reversed IS NULL GROUP BY account) s ON e.account = s.account
		WHERE COALESCE(open_ticks, 0) <> COALESCE(total, 0)`,
}

// Check looks whether the books add up, all of them as they were at one moment. It takes time in proportion to their size.
func (s *Store) Check(ctx context.Context) (Report, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Report{}, fmt.Errorf("check the books: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	r := Report{}
	if err := tx.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM trades), (SELECT COUNT(*) FROM entries)`).Scan(&r.Trades, &r.Entries); err != nil {
		return Report{}, fmt.Errorf("check the books: %w", err)
	}
	for _, question := range invariants {
		rows, err := tx.QueryContext(ctx, question+` LIMIT ?`, maxViolations)
		if err != nil {
			return Report{}, fmt.Errorf("check the books: %w", err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				rows.Close()
				return Report{}, fmt.Errorf("check the books: %w", err)
			}
			r.Violations = append(r.Violations, text)
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return Report{}, fmt.Errorf("check the books: %w", err)
		}
	}
	r.OK = len(r.Violations) == 0
	return r, nil
}
