package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// taskAsked is the state of a task that its agent has not spoken of yet.
const taskAsked = "asked"

// taskGrace is what a host has beyond a task's timeout, to fetch the candidate and to say how it ended.
const taskGrace = 2 * time.Minute

// keptTask is a task as it is stored, without a secret's value.
type keptTask struct {
	Task    agent.Task  `json:"task"`
	Secrets secretNames `json:"secrets"`
}

// step is one thing that has to be done, on one agent.
type step struct {
	id, name, agent string
	// migration is what a migration is known by, in its environment and for ever.
	migration string
	task      keptTask
}

// Run implements [release.Task]. What is to be done is done in the order of the configuration, each once: its ID is made of the rollout and its name.
// Migrations run on one agent of the first region that has one, those that have not succeeded in the environment before; smoke checks that ask by HTTP run on each agent of the wave's regions that has the new
// version, and commands on one of each region. A task fails when its agent was removed, was not heard of for longer than the task may take, or has said
// nothing of it for that time and [taskGrace].
func (s *Service) Run(ctx context.Context, r release.Record, what string) (release.Outcome, error) {
	stages, why, err := s.stages(ctx, r, what)
	if err != nil {
		return release.Outcome{}, err
	}
	if why != "" {
		return release.Outcome{Done: true, Failure: why}, nil
	}
	for _, stage := range stages {
		done, failure, err := s.runAll(ctx, r, stage)
		if err != nil {
			return release.Outcome{}, fmt.Errorf("run %s: %w", what, err)
		}
		if failure != "" {
			return release.Outcome{Done: true, Failure: failure}, nil
		}
		if !done {
			return release.Outcome{}, nil
		}
	}
	return release.Outcome{Done: true}, nil
}

// stages are what a task consists of: one stage after the other, the steps of a stage at once.
func (s *Service) stages(ctx context.Context, r release.Record, what string) (stages [][]step, why string, err error) {
	members, err := s.membersOf(ctx, r.Place)
	if err != nil {
		return nil, "", err
	}
	// Regions in the order of the rollout's waves.
	var in []*member
	for _, region := range r.State.Regions() {
		for i := range members {
			if members[i].Region == region && members[i].fresh != nil {
				in = append(in, &members[i])
			}
		}
	}
	if len(in) == 0 {
		return nil, "no region of the rollout is known yet", nil
	}
	if wave, ok := strings.CutPrefix(what, release.TaskSmoke+"-"); ok {
		n, err := strconv.Atoi(wave)
		if err != nil || n < 0 || n >= len(r.State.Waves) {
			return nil, "", fmt.Errorf("the task %q is for no wave of the rollout", what)
		}
		return s.smoke(r, n, in)
	}
	phase := project.Phase(what)
	if phase != project.Expand && phase != project.Contract {
		return nil, "", fmt.Errorf("the task %q is not known", what)
	}
	return s.migrations(ctx, r, phase, in)
}

// migrations are those of a phase, on an agent of the first region that has one.
func (s *Service) migrations(ctx context.Context, r release.Record, phase project.Phase, in []*member) (stages [][]step, why string, err error) {
	var agents []agentRow
	if err := s.o.DB.NewSelect().Model(&agents).Column("name", "labels", "info", "state").Where("state <> ?", StateNew).Order("name").Scan(ctx); err != nil {
		return nil, "", err
	}
	for _, m := range in {
		placement, err := s.placement(ctx, &m.placementRow, r.State.New)
		if err != nil {
			return nil, "", err
		}
		names := ranked(m.instances(), chosen(placement.Targets, agents))
		if len(names) == 0 {
			why = nobody(m.Region, placement.Targets)
			continue
		}
		// One that is there goes first; who was asked already is asked again, whoever that is.
		slices.SortStableFunc(names, func(a, b string) int { return rankState(agents, a) - rankState(agents, b) })
		for _, mig := range placement.Service.Migrations {
			if mig.Phase != phase {
				continue
			}
			known := fmt.Sprintf("%s/%s/%s/%s/%s", r.Project, r.Environment, r.Service, phase, mig.Name)
			done, err := s.o.DB.NewSelect().Table("agent_tasks").Where("migration = ? AND state = ?", known, agent.TaskSucceeded).Exists(ctx)
			if err != nil {
				return nil, "", fmt.Errorf("look whether the migration %s has run: %w", mig.Name, err)
			}
			if done {
				continue
			}
			id := fmt.Sprintf("r%d-%s-%s", r.ID, phase, mig.Name)
			t := command(m.place, placement.Service, r.State.New, id, mig.Command.Argv(), mig.Timeout.Duration())
			stages = append(stages, []step{{id: id, name: "the " + string(phase) + " migration " + mig.Name, agent: names[0], migration: known, task: t}})
		}
		return stages, "", nil
	}
	return nil, why, nil
}

// rankState puts agents that are there first.
func rankState(agents []agentRow, name string) int {
	if slices.ContainsFunc(agents, func(a agentRow) bool { return a.Name == name && a.State == StateOnline }) {
		return 0
	}
	return 1
}

// smoke are the checks of a wave: the first ones of all its regions, then the second ones, and so on.
func (s *Service) smoke(r release.Record, wave int, in []*member) (stages [][]step, why string, err error) {
	for _, m := range in {
		if !slices.Contains(r.State.Waves[wave], m.Region) {
			continue
		}
		g := groupsOf(m.Desired.V)
		var names []string
		for i := range m.parts {
			if m.parts[i].count(g.fresh) > 0 {
				names = append(names, m.parts[i].Agent)
			}
		}
		if len(names) == 0 {
			return nil, "no agent of the region " + m.Region + " has an instance of the new version", nil
		}
		for n, c := range m.fresh.Strategy.Smoke {
			for len(stages) <= n {
				stages = append(stages, nil)
			}
			on := names
			if c.HTTP == "" {
				on = ranked(m.instances(), names)[:1]
			}
			for _, name := range on {
				id := fmt.Sprintf("r%d-smoke-%d-%d-%s-%s", r.ID, wave, n, name, m.short())
				stages[n] = append(stages[n], step{id: id, name: fmt.Sprintf("the smoke check %d in %s on %s", n+1, m.Region, name), agent: name, task: check2task(m, r.State.New, id, c)})
			}
		}
	}
	return stages, "", nil
}

// runAll begins what was not begun yet, and says how it ended.
func (s *Service) runAll(ctx context.Context, r release.Record, steps []step) (done bool, failure string, err error) {
	var ids []string
	for _, st := range steps {
		ids = append(ids, st.id)
	}
	rows, err := s.readTasks(ctx, ids)
	if err != nil {
		return false, "", err
	}
	done = true
	for _, st := range steps {
		row := rows[st.id]
		if row == nil {
			if err := s.begin(ctx, r, st); err != nil {
				return false, "", err
			}
			done = false
			continue
		}
		if row.EndedAt.IsZero() {
			if row, err = s.overdue(ctx, row); err != nil {
				return false, "", err
			}
		}
		switch {
		case row.EndedAt.IsZero():
			done = false
		case row.State != agent.TaskSucceeded:
			failure = st.name + ": " + row.Reason
			if out := strings.TrimSpace(row.Output); out != "" {
				failure += "; it said: " + last(out, 600)
			}
			return true, failure, nil
		}
	}
	return done, "", nil
}

// last is the end of a text, from a line's begin where that is near.
func last(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = strings.ToValidUTF8(text[len(text)-most:], "")
	if i := strings.IndexByte(text, '\n'); i >= 0 && i < most/3 {
		text = text[i+1:]
	}
	return "… " + text
}

func (s *Service) readTasks(ctx context.Context, ids []string) (map[string]*taskRow, error) {
	found := map[string]*taskRow{}
	for _, id := range ids {
		row := new(taskRow)
		err := s.o.DB.NewSelect().Model(row).Where("id = ?", id).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the task %s: %w", id, err)
		}
		found[id] = row
	}
	return found, nil
}

// begin asks for a task. Who is second finds it there.
func (s *Service) begin(ctx context.Context, r release.Record, st step) error {
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		row := &taskRow{ID: st.id, Rollout: r.ID, Agent: st.agent, State: taskAsked, Migration: st.migration, Task: store.AsJSON(st.task), CreatedAt: store.At(s.o.Now())}
		res, err := tx.NewInsert().Model(row).On("CONFLICT (id) DO NOTHING").Exec(ctx)
		if err != nil {
			return fmt.Errorf("store the task %s: %w", st.id, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.recompose(ctx, tx, []string{st.agent})
	})
}

// overdue ends a task that cannot be expected to end by itself.
func (s *Service) overdue(ctx context.Context, row *taskRow) (*taskRow, error) {
	k, at, err := s.seen(ctx, row.Agent)
	if err != nil {
		return nil, err
	}
	now := s.o.Now()
	timeout := row.Task.V.Task.Timeout
	since := row.CreatedAt.Time
	if at.After(since) {
		since = at
	}
	var why string
	switch lacks := s.lacks(row.Agent, row.ID); {
	case lacks != "" && now.Sub(row.CreatedAt.Time) > patience:
		why = lacks
	case now.Sub(since) > timeout && now.Sub(since) > silent:
		why = fmt.Sprintf("nothing is heard of the agent %s for longer than the %v that it may take; whether it was done is not known", row.Agent, timeout)
	case now.Sub(row.CreatedAt.Time) > timeout+taskGrace:
		why = fmt.Sprintf("the agent %s does not say that it has ended, %v after it was asked for", row.Agent, now.Sub(row.CreatedAt.Time).Round(time.Second))
		if p := k.Observed.Problems[row.ID]; p != "" {
			why += ": " + p
		}
	default:
		return row, nil
	}
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := s.endTask(ctx, tx, row.ID, agent.TaskFailed, why, ""); err != nil {
			return err
		}
		return s.recompose(ctx, tx, []string{row.Agent})
	})
	if err != nil {
		return nil, fmt.Errorf("end the task %s: %w", row.ID, err)
	}
	rows, err := s.readTasks(ctx, []string{row.ID})
	if err != nil {
		return nil, err
	}
	return rows[row.ID], nil
}

// endTask records an outcome, once.
func (s *Service) endTask(ctx context.Context, tx *store.Tx, id, state, reason, output string) error {
	_, err := tx.NewUpdate().Table("agent_tasks").Set("state = ?", state).Set("reason = ?", reason).Set("output = ?", output).Set("ended_at = ?", store.At(s.o.Now())).
		Where("id = ? AND ended_at = 0", id).Exec(ctx)
	if err != nil {
		return fmt.Errorf("record how the task %s ended: %w", id, err)
	}
	return nil
}

// takeTasks records what an agent says of the tasks that it was asked for. It returns whether one has ended.
func (s *Service) takeTasks(ctx context.Context, tx *store.Tx, name string, said map[string]agent.TaskStatus) (ended bool, err error) {
	if len(said) == 0 {
		return false, nil
	}
	var rows []taskRow
	if err := tx.NewSelect().Model(&rows).Where("agent = ? AND ended_at = 0", name).Order("id").Scan(ctx); err != nil {
		return false, fmt.Errorf("read the tasks of %s: %w", name, err)
	}
	for i := range rows {
		t, ok := said[rows[i].ID]
		if !ok {
			continue
		}
		switch t.State {
		case agent.TaskSucceeded, agent.TaskFailed:
			reason := t.Reason
			if t.State == agent.TaskFailed && reason == "" {
				reason = "it failed"
			}
			if err := s.endTask(ctx, tx, rows[i].ID, t.State, reason, t.Output); err != nil {
				return false, err
			}
			ended = true
		case agent.TaskRunning:
			if rows[i].State == agent.TaskRunning {
				continue
			}
			if _, err := tx.NewUpdate().Table("agent_tasks").Set("state = ?", agent.TaskRunning).Where("id = ? AND ended_at = 0", rows[i].ID).Exec(ctx); err != nil {
				return false, fmt.Errorf("record the task %s: %w", rows[i].ID, err)
			}
		}
	}
	return ended, nil
}

// failTasks ends all tasks of an agent.
func (s *Service) failTasks(ctx context.Context, tx *store.Tx, name, why string) error {
	_, err := tx.NewUpdate().Table("agent_tasks").Set("state = ?", agent.TaskFailed).Set("reason = ?", why).Set("ended_at = ?", store.At(s.o.Now())).Where("agent = ? AND ended_at = 0", name).Exec(ctx)
	if err != nil {
		return fmt.Errorf("end the tasks of %s: %w", name, err)
	}
	return nil
}

// addTasks puts those in that have not ended.
func (s *Service) addTasks(ctx context.Context, tx *store.Tx, name string, w *wanted) error {
	var rows []taskRow
	if err := tx.NewSelect().Model(&rows).Where("agent = ? AND ended_at = 0", name).Order("created_at", "id").Scan(ctx); err != nil {
		return fmt.Errorf("read the tasks: %w", err)
	}
	for i := range rows {
		t := rows[i].Task.V
		w.Tasks = append(w.Tasks, t.Task)
		if len(t.Secrets.Names) > 0 {
			if w.Secrets == nil {
				w.Secrets = map[string]secretNames{}
			}
			w.Secrets[t.Task.ID] = t.Secrets
		}
	}
	return nil
}

// command is a task that runs a program in the candidate's folder, with the service's environment.
func command(p place, s *project.Service, c release.Candidate, id string, argv []string, timeout time.Duration) keptTask {
	return keptTask{Secrets: secretsOf(p, s), Task: agent.Task{ID: id, Timeout: timeout, Instance: &agent.Instance{
		Service: p.instances(), Version: c.Version(), Bundle: c.Artifact, Spec: process.Spec{ID: id, Argv: argv, Env: environ(p, s, c), Limits: limits(s), NoRestart: true},
	}}}
}

// check2task is a smoke check as a task.
func check2task(m *member, c release.Candidate, id string, check project.Smoke) keptTask {
	if check.HTTP == "" {
		return command(m.place, m.fresh, c, id, check.Command.Argv(), check.Timeout.Duration())
	}
	return keptTask{Task: agent.Task{ID: id, Timeout: check.Timeout.Duration(), HTTP: &agent.HTTPCheck{
		Service: m.instances(), Version: c.Version(), Port: check.Port, Path: check.HTTP, Status: check.Status,
	}}}
}
