// Package analysis judges a release by its samples. Samples and a configuration go in; a verdict, and why, comes out.
//
// There are two judges. [Watch] looks at every scrape and says as soon as it can that a canary is bad; it never says that one is good.
// [Judge] looks at all samples of a step at its end and gives one of four verdicts. Both leave a [Record] with everything that they
// used, from which anybody can compute the judgement again.
//
// # What it promises
//
//   - Missing data never pass. A query that failed is [Error]; no data, too few, NaN and gaps are [Inconclusive]; both hold a release.
//   - False alarms are bounded. [Split] divides the rate that is accepted over a release between the watch and the judgements; within one
//     judgement several metrics share theirs by Holm's method, within the watch by their weights.
//   - Significance without size does not fail: beyond the test, the difference must reach the metric's floor (at a step's end, the
//     shift of latency give or take one standard error).
//   - More failures of the canary never improve a verdict, nor do slower requests in a watch. (At the end of a step, latencies that vary more
//     from one block of time to the next are weaker evidence.)
//   - Pure functions: no clock, no files, no network, no randomness but from the seed that is passed in. [Record.Recompute] gives the same
//     bits on the same kind of processor; on another one the last digits of a logarithm differ, so figures are rounded to nine digits
//     before anything is decided by them.
//
// # What the bounds rest on
//
// The tests compare a canary with a reference that gets the same kind of requests at the same time. The watch compares within each scrape,
// so whatever happens to both (a slow database, the rush of the morning) cancels out, however strong it is. What does not cancel out is
// trouble that comes in clumps to one side only, though its code is the same: one client that repeats a bad request and sticks to the
// canary, a pause of one process. Against it, evidence is divided by the clumping that the reference itself shows (a variance above what
// independent requests have), one scrape alone can never fail a canary, and the judgement at the end of a step does the same with
// what its blocks of time show. Where the reference is quiet and clumps come to the canary alone, that is what a
// regression looks like; the bound does not hold there, and no test could tell the two apart. Feeding a watch some minutes of the
// reference from before the canary is what helps; package simulate has figures for both.
//
// A step is judged as one: its samples must be from a time in which the canary's weight was the same, or a change of weight that meets a change of
// load looks like a difference.
//
// The package must not know who measures, where the samples are kept, or what follows from a verdict.
package analysis
