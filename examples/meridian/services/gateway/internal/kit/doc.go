// Package kit is what the services of Meridian have in common: how a process starts, says how it is and ends, how it is
// measured, and the faults that can be switched on in it.
//
// It promises that a service answers GET /healthz, /readyz, /version and /metrics, names its version in every answer,
// and ends within a deadline once it is asked to, without cutting off what it can still finish. It uses the standard
// library alone, and knows nothing of orders, prices or money.
//
// A service is a project of its own, whose pipeline sees no file outside of its folder. So each has a copy of this
// package in internal/kit; a test in examples/meridian fails where a copy differs, and writes them anew with -update.
package kit
