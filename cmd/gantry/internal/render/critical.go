package render

// chain is the longest way through the jobs that have ended, by the time they took: shortening any other job does not
// make the run shorter, unless jobs waited for a free slot.
//
// Jobs are added in the order in which they end, so everything that a job needs is there before it.
type chain struct {
	ends []chainEnd
	// byName lists the jobs of a name: several may be called alike.
	byName map[string][]int
}

type chainEnd struct {
	seconds float64 // of the longest way that ends with this job, itself included
	before  int     // index of the job before it on that way; -1: none
}

// add records a job that has ended and returns its index.
func (c *chain) add(workflow, name string, seconds float64, needs []string) int {
	end := chainEnd{before: -1}
	for _, need := range needs {
		for _, i := range c.byName[workflow+"\x00"+need] {
			if end.before < 0 || c.ends[i].seconds > c.ends[end.before].seconds {
				end.before = i
			}
		}
	}
	end.seconds = seconds
	if end.before >= 0 {
		end.seconds += c.ends[end.before].seconds
	}
	if c.byName == nil {
		c.byName = map[string][]int{}
	}
	key := workflow + "\x00" + name
	c.byName[key] = append(c.byName[key], len(c.ends))
	c.ends = append(c.ends, end)
	return len(c.ends) - 1
}

// longest returns the jobs on the longest way, first one first, and its length in seconds.
func (c *chain) longest() (jobs []int, seconds float64) {
	last := -1
	for i, e := range c.ends {
		if e.seconds > 0 && (last < 0 || e.seconds > c.ends[last].seconds) {
			last = i
		}
	}
	if last < 0 {
		return nil, 0
	}
	seconds = c.ends[last].seconds
	for i := last; i >= 0; i = c.ends[i].before {
		jobs = append([]int{i}, jobs...)
	}
	return jobs, seconds
}
