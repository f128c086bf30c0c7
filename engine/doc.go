// Package engine does durable work: rows that are due at a time, each taken up by one server at a time, and taken up again by another
// when that one dies. Runs, approvals, schedules and retention are such rows; there is no second mechanism.
//
// A piece of work is a row of a kind with an ID and a due time. When it is due, a server that has a place for its kind takes a
// [Lease] on it and calls the kind's [Reconciler]. Each time a lease is taken, its fencing token grows. Every write that a reconciler
// makes calls [Lease.Guard] in its transaction: who lost the lease (it was paused too long, the network was cut) cannot write any more,
// whatever it still believes.
//
// What it promises:
//
//   - Of one row, at most one reconciler's writes are effective at any time, on any number of servers. No clock has a part in this.
//   - Work whose server has died is taken up within TTL, a heartbeat and a poll; after a restart on the same data folder at once.
//   - A call to [Engine.Put] while a row is being reconciled is not lost: the row is due again afterwards.
//   - An error delays the row, 1 s at first and twice as long each time up to 5 min, and is kept with it; nothing is ever dropped.
//
// # Time
//
// A server that has leases beats: it changes one row of its own, once per heartbeat, however many leases it has. The others look at
// that row, and hold a server for dead whose row has not changed for TTL, measured by the steady clock of the one who looks. So the
// servers' clocks may be apart, and jump, without a lease being lost or kept for it.
//
// Due times are points on the servers' wall clocks, which are assumed to be some seconds apart at most: work is taken up when the first
// clock says that it is due. What was put for now, and short delays, are moved along when a clock is set back.
//
// The package must not know what the work is.
package engine
