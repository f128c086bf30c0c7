// Package project reads gantry.yaml: which services a repository has, how each is started, checked and watched, through which environments
// its releases go, by which strategy, and behind which gates.
//
// [Parse] reads the file alone, [Load] also the calendars and objectives that it names. Reading never stops at the first mistake: each
// has its place, a code of docs/diagnostics.md and, where a person can act, a hint. What is known and not done yet is refused, never ignored.
// [Schema] is the JSON schema for editors; it is made of the same descriptions that the file is read by (package internal/bind).
//
// How a file becomes a [Project]: bytes → nodes with places → the values of project, defaults, services and environments → a [Placement] for
// each service in each region of each environment, in which everything that the file says about it is merged → checks of what the
// parts mean to each other.
//
// What it promises: every default is in a [Placement], so that nobody after it needs to know one; a Project is plain data and the same as
// JSON; reading is deterministic, and no input makes it panic or hang.
//
// It starts no process, opens no connection, and opens no file but through the fs.FS that it is given. It knows neither the server nor the
// agents: a target is a name or labels here.
package project
