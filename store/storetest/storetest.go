// Package storetest opens databases for tests: SQLite in a folder of the test, and PostgreSQL where there is a server for it.
//
// Each database that it opens is empty, is the caller's alone, and goes away with the test; so tests may run at the same time, also
// those of several packages on one server.
package storetest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gantry-ops/gantry/store"
)

// Variable is the environment variable that holds the URL of a PostgreSQL server. Its account must be allowed to make schemas.
const Variable = "GANTRY_TEST_POSTGRES"

// Option changes what a database is opened with.
type Option func(*store.Options)

// Clock gives the database a clock of events.
func Clock(now func() time.Time) Option { return func(o *store.Options) { o.Now = now } }

// Each runs f on SQLite and on PostgreSQL, in a subtest for each.
func Each(t *testing.T, f func(t *testing.T, db *store.DB), options ...Option) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, Open(t, options...)) })
	t.Run("postgresql", func(t *testing.T) { f(t, OpenPostgreSQL(t, options...)) })
}

// Open opens a new SQLite database.
func Open(t testing.TB, options ...Option) *store.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "gantry.db"), options)
}

// OpenPostgreSQL opens a new schema of the PostgreSQL server that [Variable] names, and skips the test where it names none.
func OpenPostgreSQL(t testing.TB, options ...Option) *store.DB {
	t.Helper()
	base := os.Getenv(Variable)
	if base == "" {
		t.Skipf(`%s is not set; eval "$(.ci/postgres-up)" starts a server and sets it`, Variable)
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("%s is not a URL", Variable) // without its text, which may have a password
	}
	schema := "test_" + rand.Text()
	run := func(statement string) {
		t.Helper()
		// Not the context of the test, which has ended when it is cleaned up.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, base)
		if err != nil {
			t.Fatalf("connect to the server of %s: %v", Variable, err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	name := pgx.Identifier{schema}.Sanitize()
	run("CREATE SCHEMA " + name)
	t.Cleanup(func() { run("DROP SCHEMA " + name + " CASCADE") })
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return open(t, u.String(), options)
}

// Again opens a database that is open a second time, as another server would.
func Again(t testing.TB, db *store.DB, options ...Option) *store.DB {
	t.Helper()
	return open(t, URL(t, db), options)
}

// URL is what the database was opened with, for [store.Open] in another process.
func URL(t testing.TB, db *store.DB) string {
	t.Helper()
	u, ok := urls.Load(db)
	if !ok {
		t.Fatal("this database was not opened by storetest")
	}
	return u.(string)
}

// urls has the URL of each database that is open.
var urls sync.Map

func open(t testing.TB, url string, options []Option) *store.DB {
	t.Helper()
	o := store.Options{URL: url}
	for _, change := range options {
		change(&o)
	}
	db, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	urls.Store(db, url)
	t.Cleanup(func() {
		urls.Delete(db)
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return db
}
