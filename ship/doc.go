// Package ship takes releases through environments: a commit of a project becomes candidates, and each environment in the order of gantry.yaml gets them
// behind its gates, service by service along their needs.
//
// A [Release] is a row with a reconciler. It decides from what is stored and what is seen of its rollouts, stores what it has decided, and acts then; who
// died in between is followed by one who finds the decision and carries it out. What it asks of others bears being asked twice: a build has the release
// as its key, a candidate its digest, a rollout its release and place.
//
// What it promises:
//   - What is released is what was built at the commit, by digest, with the configuration of that commit; both are kept as long as a place has them or
//     may go back to them.
//   - Nothing enters an environment before its gates are open. Who started a release does not approve it, and nobody counts twice. What is not known
//     (a check, a calendar, a role) never opens a gate.
//   - An environment is a unit: when one of its services goes back, those of the same release that are through go back too, the last one first. What is
//     beyond a contract migration stays, and that is said.
//   - Of the releases of a project, one at a time is under way in an environment; an older one never comes after a newer one.
//   - What gantry.yaml asks for and a rollout cannot do is refused before anything begins, at its place.
//
// It knows neither how runs are made, nor hosts, nor samples, nor who may do what: those are behind its ports, or in front of it.
package ship
