package ship

import (
	"math"
	"time"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
)

// longStart is from which health deadline on instances get more than a rollout's usual time to start.
const longStart = 150 * time.Second

// strategy says by which strategy a rollout places a service. refuse is told what it cannot do.
func strategy(s *project.Service, soak time.Duration, refuse func(format string, a ...any)) release.Strategy {
	out := release.Strategy{Instances: s.Instances, Soak: soak, Warm: s.Strategy.KeepWarm.Duration(), Analyse: analysed(s)}
	if d := s.Health.Deadline.Duration(); d > longStart {
		out.Start = 2 * d // an instance may be started again, and its candidate has to be fetched
	}
	switch s.Analysis.Inconclusive {
	case project.RollBack:
		out.Undecided = release.GoBack
	case project.Extend:
		out.Undecided, out.Extend = release.Wait, s.Analysis.Extensions
	default:
		out.Undecided = release.Wait
	}
	switch s.Strategy.Kind {
	case project.Rolling:
		out.Kind = release.Rolling
		out.Batch = s.Strategy.Batch.Size(s.Instances)
	case project.BlueGreen:
		out.Kind = release.BlueGreen
		out.Smoke = len(s.Strategy.Smoke) > 0
	case project.Canary:
		canary(&out, s, refuse)
	default:
		refuse("there is no way to do a release by %q", s.Strategy.Kind)
	}
	return out
}

// canary turns percentages into shares. A step with all of the traffic is what follows the last one.
func canary(out *release.Strategy, s *project.Service, refuse func(format string, a ...any)) {
	out.Kind = release.Canary
	out.Baseline = s.Analysis.Baseline == project.BaselineEqual && s.Weighable() && out.Analyse
	for i, st := range s.Strategy.Steps {
		weight := int(math.Round(st.Weight * release.Whole / 100))
		switch {
		case weight < 1:
			refuse("step %d has %g %% of the traffic, and shares are counted in hundredths of a percent", i+1, st.Weight)
			continue
		case weight >= release.Whole:
			if st.Requests > 0 || st.Pause {
				refuse("step %d has all of the traffic, where it can be watched for a time, and wait neither for requests nor for a person", i+1)
			}
			out.Hold = st.For.Duration()
			continue
		}
		step := release.CanaryStep{Weight: weight, For: st.For.Duration(), Requests: int64(st.Requests), Manual: st.Pause}
		if st.Requests > 0 {
			step.Within = st.Within.Duration()
		}
		out.Steps = append(out.Steps, step)
	}
	if len(out.Steps) == 0 && out.Hold > 0 {
		// All at once is what is left of a canary whose only step has everything.
		out.Kind, out.Baseline = release.BlueGreen, false
	}
}

// analysed says whether there is anything to judge a service by: what the agent measures of its requests, or what it says of itself.
func analysed(s *project.Service) bool {
	requests := false
	for _, p := range s.Ports {
		requests = requests || p.Listen != "" && p.Protocol != project.TCP
	}
	if requests && (!s.Analysis.Errors.Off && !s.Analysis.Errors.Informative || !s.Analysis.Latency.Off && !s.Analysis.Latency.Informative) {
		return true
	}
	for _, q := range s.Analysis.Queries {
		if !q.Informative {
			return true
		}
	}
	for _, o := range s.Analysis.SLOs {
		if !o.Informative {
			return true
		}
	}
	return false
}

// quick is how an earlier candidate is brought back where it no longer runs: everywhere at once, beside what is there where there is room for both, and
// without watching what has been watched before.
func quick(s release.Strategy, waves [][]string) (release.Strategy, [][]string) {
	out := release.Strategy{Kind: release.BlueGreen, Instances: s.Instances, Regions: s.Regions, Start: s.Start, Undecided: release.Wait}
	if s.Kind == release.Rolling {
		out.Kind, out.Batch = release.Rolling, s.Batch
	}
	var all []string
	for _, w := range waves {
		all = append(all, w...)
	}
	return out, [][]string{all}
}
