// Package detect looks at a repository and writes a first gantry.yaml for it.
//
// [Scan] finds CI files with the artifacts that they upload, Go programs, package.json files with a start script, Dockerfiles, Procfiles and
// Compose files, and in their code the ports, health and metrics paths that stand there as literals. [Found.YAML] writes what was found, with
// comments that say what was guessed.
//
// What it promises: every [Fact] has its place, or says that it is a guess; what is written is a file that project.Parse accepts; the same
// repository gives the same file. It reads text and runs nothing, no matter what the repository holds: files, their sizes and their number
// are bounded.
package detect
