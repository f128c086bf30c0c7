// Package runner runs pipelines: a ready-queue scheduler over jobs, the steps of each job in a
// workspace that an executor opens, what they print, the artifacts and caches they leave.
//
// It knows no format. What a format decides is behind pipeline.Expr and pipeline.Dialect; where processes
// run is behind [Executor]; what a `uses` refers to is behind [Actions]; who looks on is behind [Sink].
//
// A failed step is a result, not an error: an error from this package means that Gantry itself could not
// do its part, and the job that it concerns fails with that reason.
package runner
