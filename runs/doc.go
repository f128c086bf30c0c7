// Package runs keeps what a server knows of projects and their runs, and brings runs to their end: it takes triggers and starts runs,
// coordinates the graph of jobs of each, hands jobs to workers and takes back what they report, asks for approvals, and throws away
// what is too old.
//
// A run is coordinated by one server at a time, the one that holds the lease on it: it reads the pipeline's file at the recorded commit
// and walks the graph with [runner.Run], giving each leg that may run to the queue instead of running it. A leg that has ended stands
// as it was recorded; so a run whose server died is resumed by walking the graph again. A leg in the queue is claimed by a worker, in
// the server or elsewhere, which holds it by a fencing token, reports state and log lines in numbered batches, and ends it with an
// outcome. When a worker is not heard of any longer, its leg goes back to the queue as a new try; what the lost worker still sends is
// refused with [ErrFenced].
//
// What it promises:
//
//   - Nothing that was acknowledged is lost when a server or a worker dies; no job that has ended runs again in the same attempt.
//   - Every change of a run, a job, an approval or a setting is an event, written with the change.
//   - Values of secrets are in no table of this package, in no event and in no log.
//
// The package knows no format of pipelines, no forge's API and no transport: they are behind the interfaces in ports.go.
package runs
