package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	pgxstd "github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver
)

// Kind is the database behind a [DB].
type Kind string

// The databases there are.
const (
	SQLite     Kind = "sqlite"
	PostgreSQL Kind = "postgresql"
)

// DB is an open database. Its embedded handle reads; changes go through [DB.Write]. It is safe for concurrent use.
type DB struct {
	// DB reads. On SQLite its connections refuse to write.
	*bun.DB
	Kind Kind

	write *bun.DB
	now   func() time.Time
	pool  *pgxpool.Pool
	// schema is PostgreSQL's one that the tables are in.
	schema string

	mu       sync.Mutex
	watchers map[chan struct{}]struct{}
}

// Options are what a database is opened with.
type Options struct {
	// URL is postgres://…, or the path of SQLite's file, with or without sqlite:// in front.
	URL string
	// Now is the clock of events; nil: time.Now.
	Now func() time.Time
	// Connections bounds those to PostgreSQL; 0: 16.
	Connections int
}

// Open opens a database and makes its own tables. SQLite's file is made where there is none; the folder must exist.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	db := &DB{now: o.Now, watchers: map[chan struct{}]struct{}{}}
	var err error
	switch scheme, rest, ok := strings.Cut(o.URL, "://"); {
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		err = db.openPostgreSQL(ctx, o)
	case ok && scheme == "sqlite":
		err = db.openSQLite(rest)
	case ok:
		return nil, fmt.Errorf("open the database: %s:// is not known; use postgres:// or the path of a file", scheme)
	case o.URL == "":
		return nil, errors.New("open the database: no URL")
	default:
		err = db.openSQLite(o.URL)
	}
	if err == nil {
		err = db.Migrate(ctx, "store", migrations)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return db, nil
}

func (db *DB) openPostgreSQL(ctx context.Context, o Options) error {
	db.Kind = PostgreSQL
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return err
	}
	c.MaxConns = int32(max(o.Connections, 0))
	if c.MaxConns == 0 {
		c.MaxConns = 16
	}
	if _, set := c.ConnConfig.RuntimeParams["application_name"]; !set {
		c.ConnConfig.RuntimeParams["application_name"] = "gantry"
	}
	// A server that is cut off in the midst of a transaction must not keep its locks for the hours that TCP may take to notice.
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET idle_in_transaction_session_timeout = '30s'")
		return err
	}
	if db.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return err
	}
	if err := db.pool.Ping(ctx); err != nil {
		return err
	}
	handle := pgxstd.OpenDBFromPool(db.pool)
	db.DB = bun.NewDB(handle, pgdialect.New())
	db.write = db.DB
	var schema sql.NullString
	if err := db.pool.QueryRow(ctx, "SELECT current_schema()").Scan(&schema); err != nil {
		return err
	}
	if !schema.Valid {
		return errors.New("no schema of its search_path is there; make one, or let the URL name another: ?search_path=public")
	}
	db.schema = schema.String
	return nil
}

// openSQLite opens one connection that writes and several that read.
func (db *DB) openSQLite(file string) error {
	db.Kind = SQLite
	abs, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	dsn := func(extra ...string) string {
		q := url.Values{"_pragma": append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)", "temp_store(MEMORY)"}, extra...)}
		q.Set("_txlock", "immediate")
		return (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: q.Encode()}).String()
	}
	w, err := sql.Open("sqlite", dsn())
	if err != nil {
		return err
	}
	w.SetMaxOpenConns(1)
	w.SetConnMaxIdleTime(0)
	db.write = bun.NewDB(w, sqlitedialect.New())
	if err := w.Ping(); err != nil {
		return fmt.Errorf("%s: %w", abs, err)
	}
	r, err := sql.Open("sqlite", dsn("query_only(1)"))
	if err != nil {
		return err
	}
	r.SetMaxOpenConns(max(4, runtime.NumCPU()))
	r.SetMaxIdleConns(4)
	db.DB = bun.NewDB(r, sqlitedialect.New())
	return nil
}

// Close closes the database.
func (db *DB) Close() error {
	var errs []error
	if db.DB != nil {
		errs = append(errs, db.DB.Close())
	}
	if db.write != nil && db.write != db.DB {
		errs = append(errs, db.write.Close())
	}
	if db.pool != nil {
		db.pool.Close()
	}
	return errors.Join(errs...)
}

// Now returns the time by the database's clock of events.
func (db *DB) Now() time.Time { return db.now() }
