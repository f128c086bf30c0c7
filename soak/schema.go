package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
)

// freshSchema makes an empty schema in a PostgreSQL, so that rounds do not see those of others, and returns its address and what
// removes it.
func freshSchema(ctx context.Context, address string) (own string, drop func() error, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", nil, err
	}
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		return "", nil, fmt.Errorf("reach PostgreSQL: %w", err)
	}
	defer c.Close(ctx)
	name := fmt.Sprintf("soak_%d", time.Now().UnixNano())
	if _, err := c.Exec(ctx, "CREATE SCHEMA "+name); err != nil {
		return "", nil, err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String(), func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		c, err := pgx.Connect(ctx, address)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		_, err = c.Exec(ctx, "DROP SCHEMA "+name+" CASCADE")
		return err
	}, nil
}
