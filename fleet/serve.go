package fleet

import (
	"context"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/store"
)

const (
	longestWait = 30 * time.Second
	// lookEvery is how often the database is asked for what other servers have changed.
	lookEvery = time.Second
	// askSecrets is how often missing secrets are looked for.
	askSecrets = 5 * time.Second
)

// decode returns the content of the first block of PEM.
func decode(b []byte) (content, rest []byte) {
	block, rest := pem.Decode(b)
	if block == nil {
		return nil, nil
	}
	return block.Bytes, rest
}

// desired answers with what a host shall be, once that is newer than what it has.
func (s *Service) desired(w http.ResponseWriter, r *http.Request) error {
	row, err := s.caller(r, false)
	if err != nil {
		return err
	}
	done, err := s.poll(row.Name)
	if err != nil {
		return err
	}
	defer done()
	query := r.URL.Query()
	has, err := whole(query.Get("generation"), mostNumber)
	if err != nil {
		return problem(http.StatusBadRequest, "generation: %v", err)
	}
	seconds, err := whole(query.Get("wait"), int64(time.Hour/time.Second))
	if err != nil {
		return problem(http.StatusBadRequest, "wait: %v", err)
	}
	end := time.NewTimer(min(time.Duration(seconds)*time.Second, longestWait))
	defer end.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		// The channel is taken before the row is read: a change between the two is not missed.
		s.mu.Lock()
		news := s.locked(row.Name).news
		s.mu.Unlock()
		if row, err = s.caller(r, false); err != nil {
			return err
		}
		if has > row.Generation {
			if err := s.overtake(r.Context(), row.Name, has); err != nil {
				return err
			}
			continue
		}
		if row.Generation > has {
			if row, err = s.caller(r, true); err != nil {
				return err
			}
			d, err := s.fill(r.Context(), row)
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusOK, d)
		}
		if err := s.askAgain(r.Context(), row); err != nil {
			return err
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-end.C:
			w.WriteHeader(http.StatusNoContent)
			return nil
		case <-news:
		case <-look.C:
		}
	}
}

// whole reads a number from 0 to some number; an empty text is 0.
func whole(text string, most int64) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%.40q is not a number from 0 to %d", text, most)
	}
	return n, nil
}

// overtake goes above a generation that a host has and nobody here knows of, as after the agent was removed, or the database brought back from a copy:
// what the host shall be is said here.
func (s *Service) overtake(ctx context.Context, name string, has int64) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.NewUpdate().Table("agents").Set("generation = ?", has+1).Where("name = ? AND generation <= ?", name, has).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("go above the generation of %s: %w", name, err)
	}
	return nil
}

// fill puts secrets in. An instance whose secret is missing is left out, with the reason, unless it runs already: then it is not disturbed.
func (s *Service) fill(ctx context.Context, row *agentRow) (agent.Desired, error) {
	d := row.Desired.V.Desired
	d.Generation = row.Generation
	values, missing, err := s.secrets(ctx, row.Desired.V.Secrets)
	if err != nil {
		return d, err
	}
	k, _, err := s.seen(ctx, row.Name)
	if err != nil {
		return d, err
	}
	runs := map[string]bool{}
	for i := range k.Observed.Instances {
		runs[k.Observed.Instances[i].ID] = true
	}
	for i := range d.Instances {
		d.Instances[i].Secrets = values[d.Instances[i].Spec.ID]
	}
	short := map[string]string{}
	held := func(id string) bool {
		if missing[id] == "" || runs[id] {
			return false
		}
		short[id] = missing[id]
		return true
	}
	d.Instances = slices.DeleteFunc(d.Instances, func(i agent.Instance) bool { return held(i.Spec.ID) })
	for i := range d.Tasks {
		if in := d.Tasks[i].Instance; in != nil {
			in.Secrets = values[d.Tasks[i].ID]
		}
	}
	d.Tasks = slices.DeleteFunc(d.Tasks, func(t agent.Task) bool { return held(t.ID) })
	s.mu.Lock()
	l := s.locked(row.Name)
	l.short, l.missing, l.asked = short, missing, s.o.Now()
	s.mu.Unlock()
	return d, nil
}

// secrets reads what instances and tasks are to be given, by their IDs, and says of which something is missing.
func (s *Service) secrets(ctx context.Context, names map[string]secretNames) (values map[string]map[string]string, missing map[string]string, err error) {
	values, missing = map[string]map[string]string{}, map[string]string{}
	type scope struct{ project, environment string }
	wants := map[scope][]string{}
	for _, id := range slices.Sorted(maps.Keys(names)) {
		n := names[id]
		at := scope{n.Project, n.Environment}
		wants[at] = append(wants[at], slices.Collect(maps.Values(n.Names))...)
	}
	have := map[scope]map[string]string{}
	for at, list := range wants {
		if s.o.Secrets == nil {
			continue
		}
		slices.Sort(list)
		if have[at], err = s.o.Secrets.Secrets(ctx, at.project, at.environment, slices.Compact(list)); err != nil {
			return nil, nil, fmt.Errorf("read the secrets of %s for %s: %w", at.project, at.environment, err)
		}
	}
	for id, n := range names {
		given := map[string]string{}
		var lacks []string
		for variable, name := range n.Names {
			v, ok := have[scope{n.Project, n.Environment}][name]
			if !ok {
				lacks = append(lacks, name)
				continue
			}
			given[variable] = v
		}
		values[id] = given
		if len(lacks) > 0 {
			slices.Sort(lacks)
			missing[id] = fmt.Sprintf("the secret %s of %s is not there for %s; set it on the server", strings.Join(lacks, ", "), n.Project, n.Environment)
		}
	}
	return values, missing, nil
}

// lacks says which secret an instance or a task is held back for; empty is none that this server knows of.
func (s *Service) lacks(agent, id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.live[agent]; l != nil {
		return l.short[id]
	}
	return ""
}

// askAgain looks whether secrets that were missing have come, and then has the host ask anew.
func (s *Service) askAgain(ctx context.Context, row *agentRow) error {
	s.mu.Lock()
	l := s.locked(row.Name)
	now := s.o.Now()
	due := len(l.short) > 0 && now.Sub(l.asked) >= askSecrets
	if due {
		l.asked = now
	}
	short := l.short
	s.mu.Unlock()
	if !due {
		return nil
	}
	full, err := s.row(ctx, row.Name, true)
	if err != nil || full == nil {
		return err
	}
	_, missing, err := s.secrets(ctx, full.Desired.V.Secrets)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(short)), func(id string) bool { return missing[id] == "" }) {
		if err := s.overtake(ctx, row.Name, full.Generation); err != nil {
			return err
		}
		s.wake(row.Name)
	}
	return nil
}

// bundle sends a candidate to a host that has a use for it.
func (s *Service) bundle(w http.ResponseWriter, r *http.Request) error {
	row, err := s.caller(r, true)
	if err != nil {
		return err
	}
	digest := r.PathValue("digest")
	if !row.Desired.V.uses(digest) {
		return problem(http.StatusNotFound, "this host has no use for the artifact %.100q", digest)
	}
	f, _, err := s.o.Artifacts.OpenArtifact(r.Context(), digest)
	if err != nil {
		return fmt.Errorf("open the artifact %s: %w", digest, err)
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+digest+`"`) // the content of a digest never changes, so that a part may be asked for later
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// uses says whether a host shall have a candidate.
func (w *wanted) uses(digest string) bool {
	return digest != "" && (slices.ContainsFunc(w.Instances, func(i agent.Instance) bool { return i.Bundle == digest }) ||
		slices.ContainsFunc(w.Tasks, func(t agent.Task) bool { return t.Instance != nil && t.Instance.Bundle == digest }))
}
