// Package process runs workloads on one host: it starts them, watches their health, restarts those that crash, keeps what they print,
// and ends them with all that came from them.
//
// A [Supervisor] owns a folder: DIR/instances/ID/{record.json, work, log, out, err}. The record says what is wanted and what was started,
// and is written whole and synced before and after each start.
//
// What it promises:
//   - Workloads outlive the agent. After a kill -9 the next Supervisor on the folder adopts them: it knows a process by its ID, its start
//     time, the machine's boot, and its executable or the marker in its environment, so that a process that merely got the same ID is
//     neither adopted nor signalled. One that was being started when the agent died is found by its marker. After a reboot nothing is
//     adopted. How an adopted process ended is not known, and is said to be so.
//   - What is ended is ended as a whole: the process, its group, and what left the group, found by the cgroup or else by the marker.
//   - An instance counts as healthy after its check has passed so many times in a row, for so long, answered by its own processes.
//     Whatever an instance is, its status says why in words.
//   - What a workload prints never breaks nor is broken by the agent: its stdout and stderr are named pipes that it holds open itself.
//     While no agent runs, a pipe takes 1 MiB; after that the workload waits with its next line. What is in the pipe when the workload
//     ends without an agent is lost.
//   - Secrets are in memory and in the environment of the workload; never in a record, in argv or, as far as the masker knows them, in a log.
//
// Limits are held by cgroups (version 2) where they can be written; the status says what is held, by what, and what is not.
//
// A folder stays where it is: a copy of it would take the same processes for its own.
//
// It is for Linux 5.4 or later; elsewhere [New] returns [ErrUnsupported]. As the first process of a container the agent would inherit
// what workloads orphan: run it below an init there. It knows nothing of bundles but their folder, of routing or of the server.
package process
