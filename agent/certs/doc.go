// Package certs has the certificates of listeners: in files that somebody else renews ([Files]), from a certification authority of one's own
// on this machine ([Authority]), or from a public one by ACME ([ACME]).
//
// What it promises: a certificate that is renewed is taken up by the next connection, without a restart; while a new one cannot be had, the last
// good one is served; keys are written readable for their owner alone, and as a whole or not at all. It knows nothing of routes.
package certs
