// Package logs keeps the lines of jobs' logs, and gives them out by range.
//
// A job has one log for as long as it exists. When a job is tried again, its log goes on: the lines of the lost try stay as evidence,
// numbers only grow, and whoever follows the log misses nothing. The caller may say in a line of its own where a new try begins.
//
// Lines are appended in the caller's transaction and are compressed into chunks: rows that know the number of their first line, so that
// a range is found by one look at an index, and costs what the range costs, however long the log is. A chunk's bytes are kept in its row
// at first. When a log outgrows what a database should hold, its chunks are moved into blobs, many to a blob; each is still read by
// itself. That happens beside the transactions: an append never waits for a blob store, and works while there is none.
//
// What it promises:
//
//   - Lines whose transaction has committed are there from then on, as a whole and in order; others never are.
//   - Bytes of a line are given back as they came, also those that are not UTF-8. Only a line feed within a line is replaced, by the
//     sign for it (U+2424), and what is over [MaxLine] is cut off, which the line says.
//   - A blob is written, and on a disk synced, before the first row refers to it, and removed after the last one. What a crash leaves
//     between is found by [Store.Tidy].
//
// The package must not know what a job is, nor who may read its log.
package logs
