// Package fleet is the hosts' agents as the server knows them: who may be one, what each shall be, what each is, and the way to it.
//
//	release ──Apply──▶ placements ──spread──▶ parts ──compose──▶ agent.Desired of each host ──long poll──▶ agent
//	release ◀─Observe─ regions    ◀──────────────── the last Report of each host            ◀──every second── agent
//
// It implements [release.Target] and [release.Task], and serves the protocol of package agent/link.
//
// What it promises:
//
//   - What a host shall be is stored before any host hears of it, and its generation grows exactly when it changes. Who asks with an older rollout,
//     or an older version of the same, changes nothing.
//   - Instances are spread evenly over a region's agents, and stay where they are as long as that is even.
//   - A secret's value is in no table: it is put in when an agent asks.
//   - What an agent says is bounded and checked as a whole, since a host may be taken over: it can tell lies about what was asked of itself, and about
//     nothing else.
//   - An agent is known by its certificate's key alone. One that was removed is refused from then on.
//
// Counters of requests are kept in memory beside what is stored at most every few seconds; they come anew with the next report. The way to an agent
// (Dial, ScrapeTargets) is that of the server which the agent is connected to.
//
// It knows neither why something is released nor how it is judged, where configurations, artifacts and secrets are kept, nor who may ask for a token:
// its callers do.
package fleet
