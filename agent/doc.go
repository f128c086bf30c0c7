// Package agent is the data plane on one host: it makes the host what a [Desired] says, and keeps it so. It starts instances of candidates beside
// each other, hands them ports, sends traffic to those that are healthy, and drains and ends those that are not wanted any more.
//
// What it promises:
//   - It serves on without the server: what is desired is on disk, and nothing but a newer wish changes it.
//   - An instance gets traffic only while it is healthy, and is ended only when nobody uses it or its time for draining is over.
//   - Traffic moves only to a version that has a healthy instance. Where no version has one, those that were healthy before are tried.
//   - After a death it takes up the workloads that run, and the next agent takes over the listeners of one that lives without a refused
//     connection ([Host.HandOver], [TakeOver]).
//
// Its parts know nothing of each other: bundle unpacks, process runs, route hands out traffic, certs has certificates.
package agent
