package runs

import (
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// jobsOf flattens a plan into the jobs that workers run: calls are left out, as nothing of them runs, and what needs a call needs what the
// call ends with. A job whose legs only the run will tell is left out as well; its legs come when they are known. beneath has the paths
// of the jobs that a job, a leg or a call stands for.
func jobsOf(plan *pipeline.Plan) (list []Job, beneath map[string][]string) {
	f := flattener{beneath: map[string][]string{}}
	f.add(plan.Jobs, "", "", nil)
	for i := range f.list {
		j := &f.list[i]
		var needs []string
		seen := map[string]bool{}
		for _, need := range j.Needs {
			for _, path := range f.ends(need) {
				if !seen[path] {
					seen[path] = true
					needs = append(needs, path)
				}
			}
		}
		j.Needs = needs
	}
	return f.list, f.beneath
}

type flattener struct {
	list    []Job
	beneath map[string][]string
	// needed are the paths that others of the same call need, so that what nobody needs is what the call ends with.
	needed map[string]bool
}

// add appends the jobs of one pipeline; callerKey and callerID stand in front of keys and paths, needs are those of the call.
func (f *flattener) add(jobs []pipeline.PlannedJob, callerKey, callerID string, needs []string) {
	if f.needed == nil {
		f.needed = map[string]bool{}
	}
	for i := range jobs {
		for _, need := range jobs[i].Needs {
			f.needed[need] = true
		}
	}
	for i := range jobs {
		p := &jobs[i]
		key, whole := below(callerKey, p.Job.Key), below(callerID, p.Job.Key)
		all := p.Needs
		if len(all) == 0 {
			all = needs
		}
		before := len(f.list)
		switch {
		case p.Job.Call != nil && len(p.Called) > 0:
			f.add(p.Called, key, p.ID, all)
		case unforeseen(p):
		default:
			f.list = append(f.list, Job{
				Path: p.ID, Key: key, Leg: strings.TrimSpace(p.Leg.Suffix), Name: p.Name, Needs: all, RunsOn: p.RunsOn, Environment: p.Environment,
			})
		}
		for _, j := range f.list[before:] {
			f.beneath[p.ID] = append(f.beneath[p.ID], j.Path)
			if whole != p.ID {
				f.beneath[whole] = append(f.beneath[whole], j.Path)
			}
		}
	}
}

// ends are the paths of the jobs with which a job or call ends: of a call those that nothing within it needs.
func (f *flattener) ends(path string) []string {
	var last []string
	for _, p := range f.beneath[path] {
		if p == path || !f.needed[p] {
			last = append(last, p)
		}
	}
	return last
}

// unforeseen reports whether the legs of a job are known only when the jobs before it have ended.
func unforeseen(p *pipeline.PlannedJob) bool {
	return p.Will == pipeline.Depends && p.Job.Strategy != nil && p.Job.Strategy.Matrix != nil && p.Leg.Values == nil
}

func below(caller, key string) string {
	if caller == "" {
		return key
	}
	return caller + " / " + key
}
