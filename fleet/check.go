package fleet

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/release/analysis"
)

// Bounds of what an agent may say. They are far above what a host that does its work says.
const (
	mostReport    = 8 << 20
	mostInstances = 5_000
	mostServices  = 10_000
	mostVersions  = 16
	mostLabels    = 64
	mostHealth    = 100
	mostOutput    = 8 << 10
	longestName   = 400
	longestText   = 4 << 10
	mostNumber    = int64(1) << 52 // what a number in JSON keeps exactly
)

var (
	nameForm  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	labelForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$`)
	bootForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// text says whether a text is one that may be kept and shown: UTF-8, without NUL, which PostgreSQL does not take, and of some length.
func text(what, s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("%s is longer than %d bytes", what, most)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", what)
	}
	for _, r := range s {
		if r == 0 {
			return fmt.Errorf("%s has a NUL in it", what)
		}
	}
	return nil
}

func number(what string, n int64) error {
	if n < 0 || n > mostNumber {
		return fmt.Errorf("%s is %d, which is not from 0 to %d", what, n, mostNumber)
	}
	return nil
}

func count(what string, n, most int) error {
	if n > most {
		return fmt.Errorf("%d %s are more than %d", n, what, most)
	}
	return nil
}

func checkLabels(labels map[string]string) error {
	if err := count("labels", len(labels), mostLabels); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if !labelForm.MatchString(k) || !labelForm.MatchString(labels[k]) {
			return fmt.Errorf("the label %.80q=%.80q is not made of 1 to 63 letters, digits, points, hyphens, underscores and slashes that begin and end with a letter or digit", k, labels[k])
		}
	}
	return nil
}

func checkInfo(i link.Info) error {
	if i.CPUs < 0 || i.Memory < 0 {
		return errors.New("the number of processors or the memory is negative")
	}
	return errors.Join(text("the version", i.Version, longestName), text("the host's name", i.Hostname, longestName), text("the system", i.OS, longestName),
		text("the architecture", i.Arch, longestName), checkLabels(i.Labels))
}

var states = []process.State{process.Starting, process.Healthy, process.Unhealthy, process.Stopping, process.Crashed, process.Ended}

// checkReport says what is wrong with a report, as a whole.
func checkReport(r *link.Report) error {
	o := &r.Observed
	if !bootForm.MatchString(r.Boot) {
		return errors.New("the boot is not made of 1 to 64 letters, digits, hyphens and underscores")
	}
	errs := []error{
		number("the report's number", r.Seq), number("the generation", o.Generation), number("the applied generation", o.Applied), checkInfo(r.Info),
		count("instances", len(o.Instances), mostInstances), count("problems", len(o.Problems), mostInstances), count("weights", len(o.Weights), mostServices),
		count("services with requests", len(o.Requests), mostServices), count("addresses", len(o.Addresses), mostServices), count("services with traffic", len(r.Traffic), mostServices),
		count("tasks", len(o.Tasks), mostInstances),
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range o.Instances {
		st := &o.Instances[i]
		if seen[st.ID] {
			return fmt.Errorf("the instance %.80q is there twice", st.ID)
		}
		seen[st.ID] = true
		if err := checkStatus(st); err != nil {
			return fmt.Errorf("the instance %.120q: %w", st.ID, err)
		}
	}
	for k, v := range o.Problems {
		if err := errors.Join(text("a problem's name", k, longestName), text("a problem", v, longestText)); err != nil {
			return err
		}
	}
	for k, v := range o.Addresses {
		if err := errors.Join(text("a listener's name", k, longestName), text("an address", v, longestName)); err != nil {
			return err
		}
	}
	for id, t := range o.Tasks {
		if err := errors.Join(text("a task's name", id, longestName), text("its state", t.State, longestName), text("its reason", t.Reason, longestText), text("its output", t.Output, mostOutput)); err != nil {
			return err
		}
	}
	return errors.Join(checkWeights(o.Weights), checkRequests(o.Requests), checkTraffic(r.Traffic))
}

func checkStatus(st *process.Status) error {
	if !slices.Contains(states, st.State) {
		return fmt.Errorf("the state %.40q is not known", st.State)
	}
	if st.Restarts < 0 || st.Crashes < 0 || st.PID < 0 {
		return errors.New("a number is negative")
	}
	errs := []error{
		text("its name", st.ID, longestName), text("the reason", st.Reason, longestText), text("the last exit", st.LastExit, longestText),
		count("labels", len(st.Labels), mostLabels), count("ports", len(st.Ports), mostLabels), count("limits", len(st.Limits), mostLabels), count("checks", len(st.Health), mostHealth),
	}
	for k, v := range st.Labels {
		errs = append(errs, text("a label", k, longestName), text("a label", v, longestName))
	}
	for k, v := range st.Ports {
		if v < 0 || v > 65535 {
			errs = append(errs, errors.New("a port is not from 0 to 65535"))
		}
		errs = append(errs, text("a port's name", k, longestName))
	}
	for _, l := range st.Limits {
		errs = append(errs, text("a limit", l, longestText))
	}
	for _, h := range st.Health {
		errs = append(errs, text("a check's reason", h.Reason, longestText))
	}
	return errors.Join(errs...)
}

func checkWeights(all map[string]map[string]int) error {
	for s, versions := range all {
		if err := errors.Join(text("a service's name", s, longestName), count("versions", len(versions), mostVersions)); err != nil {
			return err
		}
		for v, w := range versions {
			if err := text("a version's name", v, longestName); err != nil {
				return err
			}
			if w < 0 || w > 10_000 {
				return fmt.Errorf("a weight is %d, which is not from 0 to 10000", w)
			}
		}
	}
	return nil
}

func checkRequests(all map[string]map[string]map[string]int64) error {
	for s, versions := range all {
		if err := errors.Join(text("a service's name", s, longestName), count("versions", len(versions), mostVersions)); err != nil {
			return err
		}
		for v, classes := range versions {
			if err := errors.Join(text("a version's name", v, longestName), count("classes of status", len(classes), mostVersions)); err != nil {
				return err
			}
			for c, n := range classes {
				if err := errors.Join(text("a class of status", c, longestName), number("a number of requests", n)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func checkTraffic(all map[string]map[string]link.Traffic) error {
	for s, versions := range all {
		if err := errors.Join(text("a service's name", s, longestName), count("versions", len(versions), mostVersions)); err != nil {
			return err
		}
		for v, t := range versions {
			if err := errors.Join(text("a version's name", v, longestName), number("a number of requests", t.Requests), number("a number of errors", t.Errors)); err != nil {
				return err
			}
			if t.Errors > t.Requests {
				return fmt.Errorf("%d errors of %d requests", t.Errors, t.Requests)
			}
			last, sum := int64(-1), int64(0)
			for _, pair := range t.Latency {
				if pair[0] <= last || pair[0] > int64(analysis.DefaultBuckets.Count) {
					return fmt.Errorf("the bucket %d of a latency is out of its order, or above %d", pair[0], analysis.DefaultBuckets.Count)
				}
				if err := number("a bucket's count", pair[1]); err != nil {
					return err
				}
				if sum += pair[1]; sum > mostNumber {
					return errors.New("the buckets of a latency count too many")
				}
				last = pair[0]
			}
		}
	}
	return nil
}
