// Package bundle keeps the candidates of a host: each an artifact, named by its SHA-256 digest, unpacked into a folder that never changes.
//
// An artifact is a tar archive, plain or by gzip, a zip archive, or one executable file; its first bytes tell which. It is spooled to
// disk and compared with its digest before any parser sees a byte of it.
//
// What it promises:
//   - A bundle is there as a whole or not at all, whenever the process or the machine dies: files and folders are synced before one
//     rename gives them their name. What a dead process left is swept by the next [Open].
//   - Nothing is ever written outside of the store, whatever is in an archive. What is hostile, ambiguous, or beyond [Limits] is refused
//     with its place, see [Refused]; nothing is repaired in silence but modes: all is read-only, set-user-ID and its kin are gone.
//   - What has been put is not changed, and [Store.Verify] finds out where somebody else did.
//   - Of several Puts of one digest at a time one does the work.
//
// It knows nothing of processes, services or where artifacts come from.
package bundle
