// Package route is the agent's half that owns listeners: it takes requests and TCP sessions from the network and hands each to an
// instance of a version of a service, by the weights, rules and allow lists of a [Table].
//
// What it promises:
//   - A table takes effect as a whole or not at all. A request is claimed by one table and one endpoint; [Router.Drain] returns when the last
//     claim of an endpoint is gone, so that whoever ends a process after it ends no request.
//   - A request is sent at most once, unless nothing of it was sent yet or its method is idempotent (RFC 9110, 9.2.2).
//   - Who is routed by a sticky key stays with a version while weights move in one direction; rules and allow lists go before weights.
//   - A TCP session stays with the endpoint where it began.
//   - Listeners are handed to another router without a refused connection: [Router.Files], [Options.Inherited], [Router.Linger].
//
// HTTP/1.1 goes through fasthttp, HTTP/2 (with it gRPC) through net/http; both parse, neither knows of versions. It knows nothing of
// processes, candidates or the server: endpoints are addresses.
package route
