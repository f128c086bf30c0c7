// Package worker runs the jobs that a queue hands out: the same in the server's process and on other machines.
//
// A worker claims as many jobs as it has places, runs each by [runner.RunAssigned], and reports what happens in numbered batches. A job
// runs on while the queue cannot be reached: what it says is kept in memory, then in a file, and sent when the queue is back. A job that
// was given to another worker meanwhile is killed at once, and nothing more of it is sent. A worker that is stopped gives its jobs a
// while, interrupts them, and gives those back that did not end by themselves, so that another one takes them up without waiting.
//
// Secrets of a job are hidden before anything of it leaves the package. It must not know how the queue is reached, nor where files and
// executors come from: that is in what [Options.Prepare] returns.
package worker
