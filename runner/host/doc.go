// Package host runs jobs on this machine itself: a folder for each job, and plain processes.
//
// It promises that a job starts in an empty work folder with the environment of a fresh machine rather than with that of the
// developer's shell, that jobs do not see each other's folders by accident, and that nothing of a job outlives it: neither a
// process, even one that has made itself a daemon, nor a file. What a killed gantry leaves is removed by the next one.
//
// It does not isolate: a job may do whatever the user may. Who needs that wants an executor with containers.
//
// Folders, below Options.Root:
//
//	RUN.gantry-lock                 held (flock) as long as the run has jobs: tells a living run from a stale one
//	RUN/JOB/REPOSITORY/REPOSITORY   the work folder; twice the name, as on GitHub's machines
//	RUN/JOB/_temp               temporary files of the job
//	RUN/JOB/_event.json         the event's payload
//
// Each process gets a session of its own. So it has no controlling terminal, and what asks for a password there fails at
// once, as it does in CI, instead of waiting for ever. The variable GANTRY_JOB marks the processes of a job, see [Tracking].
//
// On systems other than Linux, processes that leave their group are not found; on Windows there are no groups and no signals
// either, and a process that is asked to stop is ended.
//
// The package must not know any pipeline format, nor where the files of the work folder come from.
package host
