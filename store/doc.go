// Package store gives the rooms of the control plane one place to keep what must last: a database, events, and blobs.
//
// The database is SQLite in one file, or PostgreSQL. Rooms own their tables: they hand their migrations to [DB.Migrate] and write
// their own queries with bun, in the SQL that both databases understand. What store promises:
//
//   - [DB.Write] runs a function in a transaction that either happens as a whole or not at all, and repeats it where the database
//     says that it lost a race. On SQLite one writer works at a time; readers are not held up by it.
//   - An [Event] appended to a transaction is there exactly when the transaction's changes are. Events are never changed, and their
//     numbers grow in the order in which transactions commit: a reader who has seen number n has seen all that are smaller.
//   - What was acknowledged survives the end of the process, and with SQLite's default setting here that of the machine.
//
// Points in time are kept as microseconds since 1970 in UTC, see [Time], so that both databases order them alike.
//
// The package must not know what is kept in it: no table but its own three (gantry_migrations, events, and what they need).
package store
