// Package secret keeps secrets out of what people and machines get to read.
//
// A [Masker] knows the secrets of a run and replaces them in texts, in the forms in which they turn up in logs: as they are,
// line by line, base64 at any alignment, hex, and escaped for URLs, JSON, XML and shells. A [Writer] does so for a stream,
// wherever its chunks are cut.
//
// The package promises that masking is safe for concurrent use, that it gives the same bytes however a text is cut into
// chunks (through a Writer), and that it costs a fraction of what producing the text did. It cannot promise to find a secret
// that a program has changed in a way of its own, such as reversed or compressed.
//
// It must not know where secrets come from, nor who reads the masked text.
package secret
