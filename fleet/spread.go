package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
)

// share is how many instances of a group a region shall have, and which agents may have them.
type share struct {
	group  string
	count  int
	agents []string
}

// numbers are the instances of each group, by agent, group.
type numbers map[string]map[string][]int

// spread says which agent has which instances, of what it was before. No agent has more than one instance of a group above another; beyond that
// nothing moves. What comes goes where there are fewest of its group, rather to where another version is, so that the two can share the traffic there;
// what goes leaves where there are most, of its group and then of all. Among equals the agents are in an order of the place's own, so that different
// services come to different agents.
func spread(at string, before numbers, shares []share) numbers {
	after := numbers{}
	total := map[string]int{}
	for _, s := range shares {
		agents := ranked(at, s.agents)
		have := map[string][]int{}
		used := map[int]bool{}
		for _, a := range agents {
			have[a] = slices.Sorted(slices.Values(before[a][s.group]))
			for _, n := range have[a] {
				used[n] = true
			}
		}
		// Numbers whose agent is none of the region's any more are given anew first, so that an instance keeps its name.
		var homeless []int
		for _, a := range slices.Sorted(maps.Keys(before)) {
			if _, ok := have[a]; !ok {
				for _, n := range before[a][s.group] {
					if !used[n] {
						homeless, used[n] = append(homeless, n), true
					}
				}
			}
		}
		slices.Sort(homeless)
		// The least are looked for from the front: agents that have another version are there.
		company := slices.Clone(agents)
		slices.SortStableFunc(company, func(a, b string) int { return alone(before[a], s.group) - alone(before[b], s.group) })
		fill(company, have, used, homeless, total, s.count)
		for _, a := range agents {
			if len(have[a]) == 0 {
				continue
			}
			if after[a] == nil {
				after[a] = map[string][]int{}
			}
			after[a][s.group] = slices.Sorted(slices.Values(have[a]))
			total[a] += len(have[a])
		}
	}
	return after
}

// alone is 0 for an agent that has another version, and else 1.
func alone(has map[string][]int, group string) int {
	for other, list := range has {
		if other != group && len(list) > 0 {
			return 0
		}
	}
	return 1
}

// fill brings a group to its count, and makes it even.
func fill(agents []string, have map[string][]int, used map[int]bool, homeless []int, total map[string]int, count int) {
	if len(agents) == 0 {
		return
	}
	sum := 0
	for _, list := range have {
		sum += len(list)
	}
	// The first of equals is taken by least, and the last by most: what comes last goes first.
	least := func() string {
		return slices.MinFunc(agents, func(a, b string) int { return cmp.Compare(len(have[a]), len(have[b])) })
	}
	most := func() string {
		back := slices.Clone(agents)
		slices.Reverse(back)
		return slices.MaxFunc(back, func(a, b string) int {
			return cmp.Or(cmp.Compare(len(have[a]), len(have[b])), cmp.Compare(total[a]+len(have[a]), total[b]+len(have[b])))
		})
	}
	take := func(a string) int {
		last := len(have[a]) - 1
		n := have[a][last]
		have[a] = have[a][:last]
		return n
	}
	for ; sum > count; sum-- {
		take(most())
	}
	for next := 0; sum < count; sum++ {
		a := least()
		if len(homeless) > 0 {
			have[a], homeless = append(have[a], homeless[0]), homeless[1:]
			continue
		}
		for used[next] {
			next++
		}
		used[next] = true
		have[a] = append(have[a], next)
	}
	for {
		from, to := most(), least()
		if len(have[from])-len(have[to]) <= 1 {
			return
		}
		have[to] = append(have[to], take(from))
	}
}

// ranked are agents in the order of a place: each place has another, and an agent more or less changes nothing among the others.
func ranked(at string, agents []string) []string {
	weight := func(a string) uint64 {
		sum := sha256.Sum256([]byte(at + "\x00" + a))
		return binary.BigEndian.Uint64(sum[:])
	}
	out := slices.Clone(agents)
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(weight(a), weight(b)), cmp.Compare(a, b)) })
	return slices.Compact(out)
}
