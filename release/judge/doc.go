// Package judge watches releases: it brings what agents count and what queries say to package analysis, and keeps what that says of a rollout.
//
// What it promises:
//
//   - What is missing is never zero: an agent that has not reported, a query that failed or gave nothing, a counter that went back. None of it passes.
//   - A rollout's watch survives the process at any moment. Each look is one transaction: the counters it went by, the state of the watch that came
//     of them, and a judgement where there is one. A judge that was replaced meanwhile cannot write over what its successor has seen.
//   - A judgement is never changed, and holds all samples that it was made of, so that anybody can compute it again.
//   - The rate of false alarms that the configuration accepts is that of the whole release: the watch and all judgements of all waves share it.
//
// How a rollout is judged. Before the new version has traffic its reference is learned. Then a watch takes in each look, of the regions of the rollout's
// wave, the new version's requests against all that the old one serves beside it, baseline included. At the end of a step that asks for a verdict, its
// samples are judged as a whole, against the baseline where the step has one. Once the new version has all of the traffic there is nothing at the same
// time to compare with: then its failures are held against the share that the old version had before, with queries' limits and objectives as ever, after
// 10 s, 20 s, 40 s and so on, each look with half of the level of the one before. Latency is not judged then: load changes with the time of day.
//
// The package must not know where counters and the values of queries come from, nor what follows from a verdict.
package judge
