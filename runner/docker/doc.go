// Package docker runs jobs in containers of a Docker Engine, and containers beside jobs.
//
// An [Engine] implements runner.Executor and runner.ContainerEngine over the Engine API; the docker command is not used. A job
// gets a network of its own, the services that it asks for, and one container that stays up while the job's steps are
// executed in it. The folders of the job lie on this machine and are mounted, laid out as GitHub's runner lays them out:
//
//	/__w/REPO/REPO     the work folder
//	/__w/_temp         temporary files
//	/__w/_actions      actions
//	/__t               tools
//	/github/home       the home folder
//	/github/workflow   event.json
//
// What the package promises: everything it makes carries the labels [LabelRun], [LabelJob] and [LabelOwner]; a workspace that
// closes leaves nothing behind, and what a killed Gantry left behind goes when the next one starts. What cannot be honoured is
// refused by name before a container is made.
//
// It knows nothing of workflow files; it must not know which step it runs, or what its output means.
package docker
