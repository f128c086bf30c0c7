// Package api is the server's HTTP API: everything that a person can do with it, a script can. The browser's UI and the command line use
// it and nothing else.
//
// It is described by OpenAPI 3.1 at /openapi.json, made from the operations themselves. What it promises:
//
//   - Every operation names the action that it is, and is refused unless the caller's identity may do that: an operation without one
//     cannot be registered. What somebody may not read does not exist for them (404); what they may read and not do is refused (403).
//   - Errors are problem documents (RFC 9457) with the place of what is wrong, such as body.source.url. None has a stack, a query or a secret.
//   - Requests are bounded in size and time. Lists come in pages. A POST that makes something, other than a
//     secret that is shown once, takes an Idempotency-Key and happens once for it.
//   - Event streams can be resumed by Last-Event-ID without missing anything; a reader that is too slow is cut off and resumes.
//
// The package must not do what the rooms do: it translates.
package api
