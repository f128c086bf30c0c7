// Package action runs what a step's `uses` refers to: JavaScript, composite and container actions, from the repository or from
// elsewhere, and built-in replacements of the actions that most workflows use.
//
// It implements runner.Actions. Processes, folders and the effects of a step are the runner's: everything goes through its
// contexts, so that an action runs alike on the host and in a container. The built-ins need no network, no download and no
// node; they take the inputs and give the outputs of the actions that they stand for. An input that cannot be honoured
// here fails the step with a sentence that says so; none is ignored.
//
// The package knows no file syntax: how the text of an action's definition is read is given to it, as are the ways to
// fetch an action and to check out a repository.
package action
