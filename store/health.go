package store

import (
	"context"
	"fmt"
	"time"
)

// pingTimeout bounds [DB.Ping]: who asks whether a server is ready does not wait longer.
const pingTimeout = 2 * time.Second

// Ping asks the database for an answer, for at most two seconds. It does not say whether there is room for a write.
func (db *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	var one int
	if err := db.NewRaw("SELECT 1").Scan(ctx, &one); err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return nil
}

// Size is how many bytes the database takes: on SQLite its file without what waits in the write-ahead log, on PostgreSQL the tables of
// the schema with their indexes.
func (db *DB) Size(ctx context.Context) (bytes int64, err error) {
	query := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if db.Kind == PostgreSQL {
		query = "SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::BIGINT FROM pg_class c WHERE c.relkind IN ('r', 'p', 'm') AND c.relnamespace = to_regnamespace(quote_ident(current_schema()))"
	}
	if err := db.NewRaw(query).Scan(ctx, &bytes); err != nil {
		return 0, fmt.Errorf("measure the database: %w", err)
	}
	return bytes, nil
}
