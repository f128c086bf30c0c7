package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Probe asks a PostgreSQL for its version without making or changing anything.
func Probe(ctx context.Context, url string) (version string, err error) {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", fmt.Errorf("reach the database: %w", err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	if err := c.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
		return "", fmt.Errorf("ask the database for its version: %w", err)
	}
	return "PostgreSQL " + version, nil
}
