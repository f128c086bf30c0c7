package githubactions

import (
	"fmt"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// checkNeeds reports needs of unknown jobs, cycles at each need that is part of one, and graphs that cannot start. jobs is the
// token of the mapping.
func (w *workflow) checkNeeds(jobs *token) {
	byKey := make(map[string]*pipeline.Job, len(w.out.Jobs))
	keys := make([]string, 0, len(w.out.Jobs))
	for _, j := range w.out.Jobs {
		byKey[strings.ToLower(j.Key)] = j
		keys = append(keys, j.Key)
	}
	starts, unknown := false, 0
	for _, j := range w.out.Jobs {
		starts = starts || len(j.Needs) == 0
		kept := j.Needs[:0]
		for _, n := range j.Needs {
			other, ok := byKey[strings.ToLower(n.Key)]
			if !ok {
				hint := ""
				// A file with very many mistakes must not take very long.
				if unknown++; unknown > maxExplained {
				} else if near := nearest(n.Key, keys); near != "" {
					hint = fmt.Sprintf("did you mean %q?", near)
				}
				w.diags.Add(pipeline.Diagnostic{Pos: n.Pos, Width: len(n.Key), Code: codeNeeds, Hint: hint,
					Message: fmt.Sprintf("job %q needs the job %q, which does not exist", j.Key, n.Key)})
				continue
			}
			kept = append(kept, pipeline.Need{Pos: n.Pos, Key: other.Key})
		}
		j.Needs = kept
	}
	cycles := w.findCycles(byKey)
	if !starts && len(w.out.Jobs) > 0 {
		hint := ""
		if len(cycles) > 0 {
			hint = "these need each other: " + cycles[0].path
		}
		w.diags.Add(pipeline.Diagnostic{Pos: jobs.pos, Code: codeNoStart, Hint: hint,
			Message: "the workflow must contain at least one job without needs"})
		return
	}
	for _, c := range cycles {
		w.diags.Add(pipeline.Diagnostic{Pos: c.need.Pos, Width: len(c.need.Key), Code: codeCycle, Hint: "the cycle is: " + c.path,
			Message: fmt.Sprintf("job %q needs the job %q, which makes a cycle", c.job.Key, c.need.Key)})
	}
}

// maxExplained is how many mistakes of a kind in one file are explained where that costs time.
const maxExplained = 50

// cycle is a need that leads back to its job.
type cycle struct {
	job  *pipeline.Job
	need pipeline.Need
	path string
}

// findCycles returns every need that is part of a cycle, in the file's order, with one way round.
func (w *workflow) findCycles(byKey map[string]*pipeline.Job) []cycle {
	component := components(w.out.Jobs, byKey)
	var found []cycle
	for _, j := range w.out.Jobs {
		for _, n := range j.Needs {
			to := byKey[strings.ToLower(n.Key)]
			if component[j] != component[to] {
				continue
			}
			c := cycle{job: j, need: n, path: j.Key + " → " + to.Key + " → … → " + j.Key}
			if len(found) < maxExplained {
				c.path = wayRound(j, to, byKey, component)
			}
			found = append(found, c)
		}
	}
	return found
}

// wayRound names the jobs from one over the other back to itself.
func wayRound(from, to *pipeline.Job, byKey map[string]*pipeline.Job, component map[*pipeline.Job]int) string {
	before := map[*pipeline.Job]*pipeline.Job{to: nil}
	for queue := []*pipeline.Job{to}; len(queue) > 0; queue = queue[1:] {
		j := queue[0]
		if j == from {
			break
		}
		for _, n := range j.Needs {
			next := byKey[strings.ToLower(n.Key)]
			if _, seen := before[next]; !seen && component[next] == component[from] {
				before[next] = j
				queue = append(queue, next)
			}
		}
	}
	var way []string
	for j := from; j != nil; j = before[j] {
		way = append([]string{j.Key}, way...)
		if j == to {
			break
		}
	}
	return strings.Join(append([]string{from.Key}, way...), " → ")
}

// components numbers the strongly connected components (Tarjan's algorithm, without recursion so that long chains are no
// trouble). A job that needs itself has a component of its own, as all jobs outside of cycles have.
func components(jobs []*pipeline.Job, byKey map[string]*pipeline.Job) map[*pipeline.Job]int {
	type frame struct {
		job  *pipeline.Job
		next int
	}
	component := make(map[*pipeline.Job]int, len(jobs))
	index, low := make(map[*pipeline.Job]int, len(jobs)), make(map[*pipeline.Job]int, len(jobs))
	onStack := make(map[*pipeline.Job]bool, len(jobs))
	var stack []*pipeline.Job
	for _, root := range jobs {
		if index[root] != 0 {
			continue
		}
		frames := []frame{{root, 0}}
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			if f.next == 0 {
				index[f.job] = len(index) + 1
				low[f.job] = index[f.job]
				stack, onStack[f.job] = append(stack, f.job), true
			}
			if f.next < len(f.job.Needs) {
				to := byKey[strings.ToLower(f.job.Needs[f.next].Key)]
				f.next++
				switch {
				case index[to] == 0:
					frames = append(frames, frame{to, 0})
				case onStack[to]:
					low[f.job] = min(low[f.job], index[to])
				}
				continue
			}
			done := f.job
			frames = frames[:len(frames)-1]
			if len(frames) > 0 {
				parent := frames[len(frames)-1].job
				low[parent] = min(low[parent], low[done])
			}
			if low[done] == index[done] {
				for {
					j := stack[len(stack)-1]
					stack = stack[:len(stack)-1]
					onStack[j], component[j] = false, index[done]
					if j == done {
						break
					}
				}
			}
		}
	}
	return component
}
