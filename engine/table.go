package engine

import (
	"math"

	"github.com/gantry-ops/gantry/store"
)

// never is the due time of a row that is being reconciled, until somebody puts it again.
const never = math.MaxInt64

// All times are microseconds since 1970.
var migrations = []store.Migration{{
	Name: "0001 work and servers",
	SQL: `
CREATE TABLE engine_work (
	seq $SERIAL, -- never used twice, so that a row put anew is not taken for the one that was removed
	kind TEXT NOT NULL,
	id TEXT NOT NULL,
	due BIGINT NOT NULL, -- while it is leased: when it is due again, if somebody put it
	asked BIGINT NOT NULL, -- when due was set, by the clock of who did
	lease_due BIGINT NOT NULL, -- what due was when the lease was taken
	owner TEXT NOT NULL, -- who has the lease, or empty
	token BIGINT NOT NULL, -- of the last lease
	failures BIGINT NOT NULL, -- attempts in a row that ended with an error
	error TEXT NOT NULL, -- of the last attempt
	UNIQUE (kind, id)
);
CREATE INDEX engine_work_due ON engine_work (owner, kind, due);
CREATE TABLE engine_servers (
	owner TEXT PRIMARY KEY,
	beat BIGINT NOT NULL -- only whether it changes counts
);
`,
}}
