package fleet

import "github.com/gantry-ops/gantry/release"

// baselineSuffix marks the version of instances that were started anew to compare with.
const baselineSuffix = "-baseline"

// groups are the names of a placement's groups of instances; empty where there is none.
type groups struct{ fresh, old, baseline string }

func groupsOf(d release.Desired) groups {
	g := groups{fresh: d.New.Candidate.Version(), old: d.Old.Candidate.Version()}
	if g.old != "" {
		g.baseline = g.old + baselineSuffix
	}
	if g.fresh == g.old {
		g.fresh = "" // it is there already
	}
	return g
}

// arms says which share each group has of the traffic that comes to one agent, in ten-thousandths.
type arms struct {
	fresh, baseline int
	// serves is false for an agent that has no traffic to take; has says that it has an instance of the new version.
	serves, has bool
	// stand says that a baseline is all that there is of the old version.
	stand bool
}

// weigh divides a region's share among its agents: those that have both versions get as much more of the new one as the others lack, so that the
// region's share is what was asked for.
//
// It takes the traffic to come to all agents alike, since it does not know what is in front of them. Where the agents with the new version cannot take
// as much (one of three has it, and half of the traffic is asked for), they take all that they get, and the region's share is less until more of them
// have it. An agent that has nothing but the new version takes all that comes to it, so that the region's share cannot be less than that; as long as
// the share is 0 it takes nothing.
func weigh(d release.Desired, g groups, parts []partRow, me string) arms {
	var serving, only, both, bases int
	var mine arms
	for i := range parts {
		p := &parts[i]
		fresh, rest := p.count(g.fresh) > 0, p.count(g.old)+p.count(g.baseline) > 0
		takes := rest || fresh && (d.Weight > 0 || g.old == "")
		if p.Agent == me && fresh {
			mine.has = true
		}
		if !takes {
			continue
		}
		serving++
		switch {
		case fresh && rest:
			both++
		case fresh:
			only++
		}
		if p.count(g.baseline) > 0 && p.count(g.old) > 0 {
			bases++
		}
		if p.Agent == me {
			mine.serves = true
		}
	}
	if !mine.serves {
		return mine
	}
	for i := range parts {
		p := &parts[i]
		if p.Agent != me {
			continue
		}
		switch {
		case p.count(g.fresh) == 0:
		case p.count(g.old)+p.count(g.baseline) == 0:
			mine.fresh = release.Whole
		default:
			mine.fresh = portion(d.Weight, serving, only, both)
		}
		mine.stand = p.count(g.baseline) > 0 && p.count(g.old) == 0
		if p.count(g.baseline) > 0 && p.count(g.old) > 0 {
			mine.baseline = min(portion(d.Weight, serving, 0, bases), release.Whole-mine.fresh)
		}
	}
	return mine
}

// portion is what each of some agents takes, so that together with those that take all it is the share of all that serve.
func portion(weight, serving, all, some int) int {
	switch {
	case weight <= 0 || some == 0:
		return 0
	case weight >= release.Whole:
		return release.Whole
	}
	// Rounded up: a share that was asked for is never none.
	return min(max((weight*serving-all*release.Whole+some-1)/some, 0), release.Whole)
}
