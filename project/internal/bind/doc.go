// Package bind reads YAML files into Go values whose members describe themselves, and describes the same members as a JSON schema.
//
// [Load] turns a file into [Node]s with places, within bounds on size, depth and nodes. A [Value] is where one of them goes: it checks,
// stores, and says in a schema what it would take. An [Object] has the members of a mapping, each with its key, its value and a sentence that
// documents it. As reading and schema come from one description, they cannot drift apart.
//
// What it promises:
//   - Reading goes on after a mistake; each has its place, what is wrong and, where a person can act, what to do.
//   - What is read twice into the same value is merged: members that a later file part does not have keep what they are, lists are replaced.
//   - No input makes it panic or hang.
//
// It opens no files and must not know what the values are for.
package bind
