// Package forge knows where code comes from. Today that is plain Git: the facts of a local repository, work copies of it, and
// a cache of other repositories.
//
// It runs the user's git, so that configuration, credentials and protocols are those that the user has. It promises never to
// change a repository that it reads: no lock, no registered work tree, no collection of garbage; never to ask for a password;
// and never to put a secret into the arguments of a process.
//
// It must not know pipelines, jobs or events: its types are its own and neutral.
package forge
