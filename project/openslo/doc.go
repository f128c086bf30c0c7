// Package openslo reads service level objectives from OpenSLO v1 files (https://github.com/OpenSLO/OpenSLO) whose metrics are Prometheus
// queries.
//
// [Parse] reads the SLOs of a file, each with its indicator inline or as an SLI of the same file. The other kinds of objects say nothing about
// an objective and are left alone. What would change a verdict and is not understood, such as time slices or another source than
// Prometheus, is refused with its place. Whether a query is valid PromQL, its reader has to say.
//
// It opens no files and does not know who judges by an SLO.
package openslo
