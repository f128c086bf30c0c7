// Package auth knows who makes a request and decides what they may do.
//
// An [Identity] is an account (signed in with a password or by OpenID Connect), a token of an account, or a runner. [Service.Authenticate]
// finds it from a request; [Service.Authorize] decides by the policies in policies.cedar, which say what each role may; both refuse with
// typed errors. What the package promises:
//
//   - Nothing that opens a door is kept in the clear: passwords as argon2id hashes, everything else (sessions, tokens, one-time links) as
//     SHA-256 of 256 random bits. Reading the database signs nobody in.
//   - Guessing is slow: sign-ins are limited by account and by address in bounded memory, hashing has a fixed number of places, and an
//     unknown name costs what a known one does.
//   - Every change, every sign-in and every refusal is an event. A flood of refusals is counted, not repeated, see refusals.go.
//   - A change takes effect at once, on all servers: each request reads the account, its grants and its session or token anew.
//   - There is always an account that administers the server once there was one.
//
// The package must not know projects, runs or runners beyond their IDs, nor the HTTP API's routes.
package auth
