package jobs

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

var migrations = []store.Migration{{
	Name: "0001 jobs, steps, annotations, artifacts, tests and runners",
	SQL: `
CREATE TABLE jobs (
	id TEXT PRIMARY KEY,
	run TEXT NOT NULL,
	run_order BIGINT NOT NULL, -- the run's number
	project TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	number BIGINT NOT NULL, -- the last part of the ID
	place BIGINT NOT NULL, -- in lists
	path TEXT NOT NULL,
	key TEXT NOT NULL,
	leg TEXT NOT NULL,
	name TEXT NOT NULL,
	needs $JSON NOT NULL,
	runs_on $JSON NOT NULL,
	wants TEXT NOT NULL, -- runs_on in a form that is the same for the same labels
	rank BIGINT NOT NULL,
	environment TEXT NOT NULL,
	environment_url TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	tolerated BOOLEAN NOT NULL,
	try BIGINT NOT NULL,
	token BIGINT NOT NULL,
	worker TEXT NOT NULL, -- the runner's ID
	worker_name TEXT NOT NULL,
	session TEXT NOT NULL,
	embedded BOOLEAN NOT NULL,
	expires BIGINT NOT NULL,
	not_before BIGINT NOT NULL,
	cancel BIGINT NOT NULL, -- 1: asked to stop, 2: to end at once
	cancel_reason TEXT NOT NULL,
	batch BIGINT NOT NULL, -- the last one that was recorded
	lines BIGINT NOT NULL,
	annotated BIGINT NOT NULL,
	assignment $JSON NOT NULL,
	outcome $JSON NOT NULL,
	summary TEXT NOT NULL,
	reused BOOLEAN NOT NULL,
	origin TEXT NOT NULL,
	critical BOOLEAN NOT NULL,
	queued_at BIGINT NOT NULL,
	started_at BIGINT NOT NULL,
	finished_at BIGINT NOT NULL,
	UNIQUE (run, attempt, path)
);
CREATE INDEX jobs_queue ON jobs (wants, run_order, rank DESC, place, number) WHERE status = 'queued';
CREATE INDEX jobs_busy ON jobs (worker) WHERE status = 'running';
CREATE INDEX jobs_open ON jobs (status) WHERE status IN ('pending', 'waiting', 'queued', 'running');
CREATE TABLE job_steps (
	job TEXT NOT NULL,
	number BIGINT NOT NULL,
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	tolerated BOOLEAN NOT NULL,
	exit BIGINT,
	first_line BIGINT NOT NULL,
	started_at BIGINT NOT NULL,
	finished_at BIGINT NOT NULL,
	PRIMARY KEY (job, number)
);
CREATE TABLE job_annotations (
	job TEXT NOT NULL,
	number BIGINT NOT NULL,
	step TEXT NOT NULL,
	annotation $JSON NOT NULL,
	PRIMARY KEY (job, number)
);
CREATE TABLE job_artifacts (
	run TEXT NOT NULL,
	name TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	job TEXT NOT NULL,
	path TEXT NOT NULL, -- of the job
	size BIGINT NOT NULL,
	digest TEXT NOT NULL,
	blob TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (run, name)
);
CREATE INDEX job_artifacts_by_job ON job_artifacts (job);
CREATE TABLE job_tests (
	job TEXT NOT NULL,
	artifact TEXT NOT NULL,
	number BIGINT NOT NULL,
	suite $JSON NOT NULL,
	PRIMARY KEY (job, artifact, number)
);
CREATE TABLE job_garbage (
	blob TEXT PRIMARY KEY,
	due BIGINT NOT NULL
);
CREATE INDEX job_garbage_due ON job_garbage (due);
CREATE TABLE runners (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	labels $JSON NOT NULL,
	os TEXT NOT NULL,
	arch TEXT NOT NULL,
	version TEXT NOT NULL,
	places BIGINT NOT NULL,
	embedded BOOLEAN NOT NULL,
	session TEXT NOT NULL,
	last_seen BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);
`,
}}

type jobRow struct {
	bun.BaseModel `bun:"table:jobs,alias:j"`

	ID             string `bun:",pk"`
	Run            string
	RunOrder       int64
	Project        string
	Attempt        int
	Number         int
	Place          int
	Path           string
	Key            string
	Leg            string
	Name           string
	Needs          list // paths
	RunsOn         list
	Wants          string
	Rank           int
	Environment    string
	EnvironmentURL string
	Status         Status
	Reason         string
	Tolerated      bool // the failure does not fail the run; while it has not ended: a failure would not
	Try            int
	Token          int64
	Worker         string
	WorkerName     string
	Session        string
	Embedded       bool
	Expires        store.Time
	NotBefore      store.Time
	Cancel         int
	CancelReason   string
	Batch          int64
	Lines          int64
	Annotated      int
	Assignment     document[runner.Assignment]
	Outcome        document[runner.Outcome]
	Summary        string
	Reused         bool
	Origin         string
	Critical       bool
	QueuedAt       store.Time
	StartedAt      store.Time
	FinishedAt     store.Time
}

type stepRow struct {
	bun.BaseModel `bun:"table:job_steps,alias:s"`

	Job       string `bun:",pk"`
	Number    int    `bun:",pk"`
	ID        string
	Name      string
	Status    Status
	Reason    string
	Tolerated bool
	Exit      *int
	FirstLine int64

	StartedAt  store.Time
	FinishedAt store.Time
}

type annotationRow struct {
	bun.BaseModel `bun:"table:job_annotations,alias:a"`

	Job        string `bun:",pk"`
	Number     int    `bun:",pk"`
	Step       string
	Annotation string
}

type artifactRow struct {
	bun.BaseModel `bun:"table:job_artifacts,alias:a"`

	Run       string `bun:",pk"`
	Name      string `bun:",pk"`
	Attempt   int
	Job       string
	Path      string
	Size      int64
	Digest    string
	Blob      string
	CreatedAt store.Time
	ExpiresAt store.Time
}

type testRow struct {
	bun.BaseModel `bun:"table:job_tests,alias:t"`

	Job      string `bun:",pk"`
	Artifact string `bun:",pk"`
	Number   int    `bun:",pk"`
	Suite    document[TestSuite]
}

type runnerRow struct {
	bun.BaseModel `bun:"table:runners,alias:r"`

	ID        string `bun:",pk"`
	Name      string
	Labels    list
	OS        string `bun:"os"`
	Arch      string
	Version   string
	Places    int
	Embedded  bool
	Session   string
	LastSeen  store.Time
	CreatedAt store.Time
}

// clean makes a text from outside fit for both databases, and cuts it to a size.
func clean(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "�")
}

// decode reads a column that holds JSON; empty text stands for none.
func decode(what, text string, into any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}
