// Package pipeline is the model of a pipeline: jobs in a graph, each with a tree of steps, and the
// values, conditions, matrices, triggers and diagnostics that go with them.
//
// Front ends (pipeline/githubactions and its siblings) turn the files of one format into this model;
// the runner executes the model. Neither knows the other. What a format decides while a pipeline
// runs — the meaning of an expression, the variables a process sees, how a process talks back — is
// behind two small interfaces that the front end implements: [Expr] and [Dialect].
//
// The package knows no format, starts no process and opens no file.
//
// How the five formats fit:
//
//   - a GitHub job, a GitLab job, a CircleCI job and an Azure job are each a [Job] with a sequence of steps;
//   - a reusable workflow, a child pipeline and an Azure stage are a [Job] whose Call holds a [Graph] of its own;
//   - nested Jenkins stages, `parallel` and `post` are [Sequence] and [Parallel] steps, which nest, carry a
//     condition, and have post hooks;
//   - GitLab's before_script and script are one [Script], its after_script a post hook;
//   - barrier stages are needs on every job of the stage before.
package pipeline
