package runs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// migrations of the room. Runs have numbers that grow, so their primary key is also the order in which they are listed. JSON columns hold
// what is never searched for.
var migrations = []store.Migration{{
	Name: "0001 projects, runs and what leads to them",
	SQL: `
CREATE TABLE run_counters (
	name TEXT NOT NULL PRIMARY KEY,
	value BIGINT NOT NULL
);
CREATE TABLE projects (
	id TEXT NOT NULL PRIMARY KEY,
	settings $JSON NOT NULL,
	version BIGINT NOT NULL,
	deleting BOOLEAN NOT NULL,
	default_branch TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE TABLE environments (
	project TEXT NOT NULL,
	folded TEXT NOT NULL,
	settings $JSON NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (project, folded)
);
CREATE TABLE variables (
	project TEXT NOT NULL,
	environment TEXT NOT NULL,
	folded TEXT NOT NULL,
	name TEXT NOT NULL,
	value TEXT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (project, environment, folded)
);
CREATE TABLE runs (
	id BIGINT NOT NULL PRIMARY KEY,
	project TEXT NOT NULL,
	pipeline TEXT NOT NULL,
	file TEXT NOT NULL,
	number BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	title TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	cancelling BOOLEAN NOT NULL,
	killing BOOLEAN NOT NULL,
	cancelled_by TEXT NOT NULL,
	event TEXT NOT NULL,
	ref TEXT NOT NULL,
	branch TEXT NOT NULL,
	sha TEXT NOT NULL,
	pull_request BIGINT NOT NULL,
	main BOOLEAN NOT NULL,
	fork BOOLEAN NOT NULL,
	actor TEXT NOT NULL,
	account TEXT NOT NULL,
	started_by TEXT NOT NULL,
	attempt_by TEXT NOT NULL,
	inputs $JSON NOT NULL,
	bound $JSON NOT NULL,
	facts $JSON NOT NULL,
	counts $JSON NOT NULL,
	logs_gone BOOLEAN NOT NULL,
	artifacts_gone BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	started_at BIGINT NOT NULL,
	finished_at BIGINT NOT NULL
);
CREATE INDEX runs_by_project ON runs (project, id);
CREATE INDEX runs_by_status ON runs (status, id);
CREATE INDEX runs_by_commit ON runs (project, sha, id);
CREATE INDEX runs_by_end ON runs (finished_at);
CREATE INDEX runs_of_pipelines ON runs (project, file, main, status, id);
CREATE TABLE run_attempts (
	run BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	finished_at BIGINT NOT NULL,
	PRIMARY KEY (run, attempt)
);
CREATE TABLE run_cleanups (
	run BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	path TEXT NOT NULL,
	PRIMARY KEY (run, attempt, path)
);
CREATE TABLE approvals (
	id BIGINT NOT NULL PRIMARY KEY,
	project TEXT NOT NULL,
	run BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	path TEXT NOT NULL,
	job TEXT NOT NULL,
	job_name TEXT NOT NULL,
	run_title TEXT NOT NULL,
	sha TEXT NOT NULL,
	environment TEXT NOT NULL,
	manual BOOLEAN NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	required BIGINT NOT NULL,
	wait_minutes BIGINT NOT NULL,
	approvers $JSON NOT NULL,
	started_by TEXT NOT NULL,
	starters $JSON NOT NULL,
	not_starter BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	decided_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX approvals_by_job ON approvals (run, attempt, path);
CREATE INDEX approvals_by_status ON approvals (status, id);
CREATE TABLE approval_decisions (
	approval BIGINT NOT NULL,
	person TEXT NOT NULL,
	actor TEXT NOT NULL,
	approve BOOLEAN NOT NULL,
	comment TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (approval, person)
);
CREATE TABLE deliveries (
	project TEXT NOT NULL,
	id TEXT NOT NULL,
	event TEXT NOT NULL,
	outcome TEXT NOT NULL,
	reason TEXT NOT NULL,
	runs $JSON NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (project, id)
);
CREATE INDEX deliveries_by_time ON deliveries (project, at);
CREATE TABLE triggers_taken (
	project TEXT NOT NULL,
	delivery TEXT NOT NULL,
	runs $JSON NOT NULL,
	not_started $JSON NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (project, delivery)
);
CREATE INDEX triggers_by_time ON triggers_taken (at);
CREATE TABLE schedules (
	project TEXT NOT NULL,
	file TEXT NOT NULL,
	cron TEXT NOT NULL,
	zone TEXT NOT NULL,
	next_at BIGINT NOT NULL,
	PRIMARY KEY (project, file, cron, zone)
);
CREATE TABLE heads (
	project TEXT NOT NULL,
	ref TEXT NOT NULL,
	sha TEXT NOT NULL,
	changes BIGINT NOT NULL,
	started BOOLEAN NOT NULL,
	PRIMARY KEY (project, ref)
);
CREATE TABLE concurrency_groups (
	project TEXT NOT NULL,
	folded TEXT NOT NULL,
	arrivals BIGINT NOT NULL,
	PRIMARY KEY (project, folded)
);
CREATE TABLE concurrency_members (
	project TEXT NOT NULL,
	folded TEXT NOT NULL,
	run BIGINT NOT NULL,
	path TEXT NOT NULL,
	arrival BIGINT NOT NULL,
	running BOOLEAN NOT NULL,
	superseded BOOLEAN NOT NULL,
	PRIMARY KEY (project, folded, run, path)
);
CREATE INDEX concurrency_members_by_run ON concurrency_members (run);
`,
}}

// lock keeps a row that is read in a transaction from being changed by others until it ends.
func lock(tx *store.Tx, q *bun.SelectQuery) *bun.SelectQuery {
	if how := tx.ForUpdate(); how != "" {
		return q.For(how)
	}
	return q
}

// count adds one to a counter and returns its value, which is at least atLeast. Who counts the same thing at the same time waits for
// this transaction.
func count(ctx context.Context, tx *store.Tx, name string, atLeast int64) (n int64, err error) {
	err = tx.NewRaw(`
		INSERT INTO run_counters (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = CASE WHEN run_counters.value >= excluded.value THEN run_counters.value + 1 ELSE excluded.value END
		RETURNING value`, name, atLeast).Scan(ctx, &n)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", name, err)
	}
	return n, nil
}

// newID returns a number that is larger than all that were given out before, by any server: the time in microseconds, or one more than
// the last. It stays below 2^53, which JavaScript can hold, until the year 2255.
func newID(ctx context.Context, tx *store.Tx) (int64, error) {
	return count(ctx, tx, "id", tx.Now().UnixMicro())
}

// number reads an ID of ours; what is none belongs to nothing.
func number(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != id {
		return 0, fmt.Errorf("%w: %.40q is no number of anything", ErrNotFound, id)
	}
	return n, nil
}

func text(id int64) string { return strconv.FormatInt(id, 10) }

// found says what was not, in the words of the room.
func found(err error, what, id string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: there is no %s %.80q", ErrNotFound, what, id)
	}
	return fmt.Errorf("read the %s %s: %w", what, id, err)
}

// changed reports whether a statement changed anything.
func changed(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}
