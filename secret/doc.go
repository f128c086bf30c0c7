// Package secret keeps secrets, and keeps them out of what people and machines get to read.
//
// A [Masker] knows the secrets of a run and replaces them in texts, in the forms in which they turn up in logs: as they are,
// line by line, base64 at any alignment, hex, and escaped for URLs, JSON, XML and shells. A [Writer] does so for a stream,
// wherever its chunks are cut. Masking is safe for concurrent use, gives the same bytes however a text is cut into chunks
// (through a Writer), and costs a fraction of what producing the text did. It cannot promise to find a secret that a program has
// changed in a way of its own, such as reversed or compressed.
//
// A [Store] keeps the secrets of projects and of their environments in the database, encrypted. It is written by people and read
// by jobs: no list has a value, and no event. Values are sealed with XChaCha20-Poly1305 by one data key, each bound to the project,
// environment, name and version that it is of, so that a row cannot be put in another one's place. The data key is in the database
// too, wrapped by age (age-encryption.org/v1) for an identity that is not: it is in a file of the data folder, or comes by
// configuration. Values are not encrypted with age one by one, because age has nothing to bind a value to its row, and because a
// change of the identity would then have to touch all of them. Who can write to the database but has no key can take secrets away
// and bring back an older state of the same one, and nothing else.
//
// The package must not know who may read or write a secret, where values are used, nor who reads the masked text.
package secret
