// Package jobs is the queue of a server: it keeps the jobs of runs, hands those that are queued to workers, and takes back what they
// report: states, steps, annotations, log lines, artifacts, test reports.
//
// A job is claimed by one worker at a time, which holds it by a fencing token that grows with each try. A worker that is not heard of for
// the TTL loses the job: it is queued again as a new try, up to MaxTries, and whatever the lost worker still sends is ErrFenced. What is
// reported is recorded in the transaction that acknowledges it; batches that come twice count once.
//
// The package must not know how runs are coordinated, what a project or a pipeline's file is, nor where secrets are kept: what a worker
// needs of those is filled into the Task by [Filler].
package jobs
