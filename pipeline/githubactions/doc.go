// Package githubactions reads GitHub Actions: workflow files and action.yml into the model of package pipeline, and what the
// format decides while jobs run.
//
// [Parse] reads a workflow with all that it calls, [ParseAction] the definition of an action, [Find] lists the workflows of a
// repository, and [Select] says whether an event starts one, and why not. Reading never stops at the first mistake: every
// error and warning has its place, a code of docs/diagnostics.md and, where a person can act, a hint. What the format has and
// this package cannot express is refused, never ignored. No input makes it panic or hang: aliases, nesting, sizes,
// calls and jobs are bounded.
//
// How a file becomes a pipeline: bytes → YAML nodes (yaml.go) → tokens with places (token.go) → tokens held against the shapes
// of their places (shape.go, workflow_shape.go, events.go, availability.go; read.go), with their expressions compiled → the model
// (workflow.go, job.go, step.go, triggers.go, matrix.go, call.go) → warnings (lint.go).
//
// The package knows neither the runner nor the machine: it opens no files but through an fs.FS or a [Resolver], and starts
// no process.
package githubactions
