// Package release takes candidates through environments.
//
// A [Rollout] brings one candidate of one service into one environment, region by region. What it does next is decided by [Rollout.Advance], a
// pure function of the rollout as it was last stored, what is seen at the targets, and the time; what the targets shall look like follows from
// the stored rollout alone ([Rollout.Desired]). Whoever drives it stores first and acts then. So a death at any moment leaves nothing half done:
// the next owner finds the same rollout, asks for the same, and goes on.
//
// What it promises:
//   - Traffic goes to a version only while instances of it are healthy, and to the earlier version as soon as it is asked back.
//   - Nothing is promoted on missing data: without a verdict that passes, an analysed step is never left.
//   - A rollback never crosses a contract migration; once that has begun, it is refused with the reason.
//   - An aborted rollout ends with the exact candidate that was there before.
//
// It knows no processes, hosts, metrics or databases.
package release
