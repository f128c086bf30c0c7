package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

const bank = `
services:
  ledger:
    command: [./ledger]
    instances: 2
    ports: {http: ":8080"}
    health: /healthz
    secrets: [KEY]
    migrations:
      - {name: add-currency, phase: expand, command: [./ledger, migrate, one]}
      - {name: add-index, phase: expand, command: [./ledger, migrate, two], timeout: 1m}
      - {name: drop-legacy, phase: contract, command: [./ledger, migrate, three]}
    strategy:
      blue-green:
        smoke:
          - {http: /healthz, status: 204}
          - {command: [./ledger, selftest]}
environments:
  - name: production
    regions: [[eu, us]]
    targets: [{region: eu, labels: {region: eu}}, {region: us, labels: {region: us}}]
`

var bankLedger = release.Place{Project: "bank", Service: "ledger", Environment: "production"}

// ran says what tasks the hosts shall do, and has them end.
func (h *home) ran(t *testing.T, state string, status agent.TaskStatus) (ids []string) {
	t.Helper()
	h.sync(t)
	for _, one := range h.hosts {
		one.tasks = map[string]agent.TaskStatus{}
		for _, task := range one.has.Tasks {
			ids = append(ids, task.ID)
			status.State = state
			one.tasks[task.ID] = status
		}
		h.reportOf(t, one)
	}
	slices.Sort(ids)
	return ids
}

func (h *home) run(t *testing.T, r release.Record, what string) release.Outcome {
	t.Helper()
	o, err := h.Run(t.Context(), r, what)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (h *home) bank(t *testing.T) (release.Record, release.Candidate) {
	t.Helper()
	h.shelf.secrets["KEY"] = "hidden"
	h.joinHost(t, "eu-1", map[string]string{"region": "eu"})
	h.joinHost(t, "eu-2", map[string]string{"region": "eu"})
	h.joinHost(t, "us-1", map[string]string{"region": "us"})
	c := h.shelf.put(t, "bank", bank, "production", "ledger", 1)
	r := record(1, 1, bankLedger, c, release.Candidate{}, [][]string{{"eu", "us"}})
	h.both(t, r, desiredOf(c, release.Candidate{}, 0, 0, 0))
	return r, c
}

func (h *home) both(t *testing.T, r release.Record, d release.Desired) {
	t.Helper()
	if err := h.Apply(t.Context(), r, map[string]release.Desired{"eu": d, "us": d}); err != nil {
		t.Fatal(err)
	}
}

func TestMigrations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		r, c := h.bank(t)
		for _, want := range []string{"r1-expand-add-currency", "r1-expand-add-index"} {
			if o := h.run(t, r, release.TaskExpand); o.Done {
				t.Fatalf("%+v", o)
			}
			h.run(t, r, release.TaskExpand) // whoever asks, and however often
			if got := h.ran(t, agent.TaskRunning, agent.TaskStatus{}); !slices.Equal(got, []string{want}) {
				t.Fatalf("%q", got)
			}
			for _, one := range h.hosts {
				for _, task := range one.has.Tasks {
					if task.Instance.Bundle != c.Artifact || task.Instance.Secrets["KEY"] != "hidden" || task.Instance.Spec.Env["GANTRY_SERVICE"] != "ledger" || task.Instance.Spec.Argv[1] != "migrate" {
						t.Errorf("%+v", task.Instance)
					}
				}
			}
			if o := h.run(t, r, release.TaskExpand); o.Done {
				t.Fatalf("%+v", o)
			}
			h.ran(t, agent.TaskSucceeded, agent.TaskStatus{})
		}
		if o := h.run(t, r, release.TaskExpand); !o.Done || o.Failure != "" {
			t.Errorf("%+v", o)
		}
		if got := h.ran(t, agent.TaskRunning, agent.TaskStatus{}); len(got) > 0 {
			t.Errorf("what has ended is still asked for: %q", got)
		}
		// In the environment they have run, whoever comes next.
		next := h.shelf.put(t, "bank", bank, "production", "ledger", 2)
		second := record(2, 1, bankLedger, next, c, r.State.Waves)
		h.both(t, second, desiredOf(next, c, 0, 2, 0))
		if o := h.run(t, second, release.TaskExpand); !o.Done || o.Failure != "" {
			t.Errorf("%+v", o)
		}
		h.run(t, second, release.TaskContract)
		h.ran(t, agent.TaskFailed, agent.TaskStatus{Reason: "it exited with code 1", Output: "no such column\n"})
		if o := h.run(t, second, release.TaskContract); !o.Done || o.Failure != "the contract migration drop-legacy: it exited with code 1; it said: no such column" {
			t.Errorf("%+v", o)
		}
		if _, err := h.Run(t.Context(), r, "nonsense"); err == nil {
			t.Error("an unknown task")
		}
	})
}

func TestTaskWithoutAnEnd(t *testing.T) {
	h := open(t, storetest.Open(t))
	r, _ := h.bank(t)
	h.run(t, r, release.TaskExpand)
	h.sync(t)
	h.clock.pass(9 * time.Minute)
	if o := h.run(t, r, release.TaskExpand); o.Done {
		t.Errorf("%+v", o)
	}
	h.clock.pass(2 * time.Minute)
	if o := h.run(t, r, release.TaskExpand); !o.Done || !strings.Contains(o.Failure, "nothing is heard of the agent") {
		t.Errorf("%+v", o)
	}
	// One whose secret is not there.
	r.ID = 4
	h.both(t, r, desiredOf(r.State.New, release.Candidate{}, 0, 0, 0))
	delete(h.shelf.secrets, "KEY")
	h.run(t, r, release.TaskExpand)
	h.sync(t)
	h.clock.pass(patience + time.Second)
	h.sync(t)
	if o := h.run(t, r, release.TaskExpand); !o.Done || !strings.Contains(o.Failure, "the secret KEY of bank is not there") {
		t.Errorf("%+v", o)
	}
	h.shelf.secrets["KEY"] = "hidden"
	// One that is there, and says nothing of it.
	r.ID = 5
	h.both(t, r, desiredOf(r.State.New, release.Candidate{}, 0, 0, 0))
	h.run(t, r, release.TaskExpand)
	for range 13 {
		h.clock.pass(time.Minute)
		h.sync(t)
	}
	if o := h.run(t, r, release.TaskExpand); !o.Done || !strings.Contains(o.Failure, "does not say that it has ended") {
		t.Errorf("%+v", o)
	}
	// One that is removed.
	r.ID = 6
	h.both(t, r, desiredOf(r.State.New, release.Candidate{}, 0, 0, 0))
	h.run(t, r, release.TaskExpand)
	for _, name := range []string{"eu-1", "eu-2"} {
		if err := h.RemoveAgent(t.Context(), "account:ann", name); err != nil {
			t.Fatal(err)
		}
	}
	if o := h.run(t, r, release.TaskExpand); !o.Done || !strings.Contains(o.Failure, "was removed") {
		t.Errorf("%+v", o)
	}
}

func TestSmoke(t *testing.T) {
	h := open(t, storetest.Open(t))
	r, c := h.bank(t)
	if o := h.run(t, r, release.TaskSmoke+"-0"); !o.Done || !strings.Contains(o.Failure, "has an instance") {
		t.Errorf("%+v", o)
	}
	r.Version++
	h.both(t, r, desiredOf(c, release.Candidate{}, 2, 0, 0))
	h.sync(t)
	if o := h.run(t, r, release.TaskSmoke+"-0"); o.Done {
		t.Errorf("%+v", o)
	}
	h.sync(t)
	asked := 0
	for _, one := range h.hosts {
		for _, task := range one.has.Tasks {
			asked++
			if want := (agent.HTTPCheck{Service: "bank/production/" + one.labels["region"] + "/ledger", Version: c.Version(), Port: "http", Path: "/healthz", Status: 204}); task.HTTP == nil || *task.HTTP != want || task.Timeout != 10*time.Second {
				t.Errorf("%+v", task.HTTP)
			}
		}
	}
	if asked != 3 {
		t.Errorf("%d agents are asked", asked)
	}
	h.ran(t, agent.TaskSucceeded, agent.TaskStatus{})
	h.run(t, r, release.TaskSmoke+"-0")
	if got := h.ran(t, agent.TaskSucceeded, agent.TaskStatus{}); len(got) != 2 {
		t.Errorf("a command runs on one agent of each region: %q", got)
	}
	if o := h.run(t, r, release.TaskSmoke+"-0"); !o.Done || o.Failure != "" {
		t.Errorf("%+v", o)
	}
	for _, what := range []string{"smoke-1", "smoke--1", "smoke-x"} {
		if _, err := h.Run(t.Context(), r, what); err == nil {
			t.Errorf("%s is for no wave", what)
		}
	}
}

// TestForeignTasks: an agent speaks of its own tasks alone.
func TestForeignTasks(t *testing.T) {
	h := open(t, storetest.Open(t))
	r, _ := h.bank(t)
	h.run(t, r, release.TaskExpand)
	us := h.hosts["us-1"]
	us.tasks = map[string]agent.TaskStatus{"r1-expand-add-currency": {State: agent.TaskSucceeded}}
	us.traffic = map[string]map[string]link.Traffic{}
	h.reportOf(t, us)
	if o := h.run(t, r, release.TaskExpand); o.Done {
		t.Errorf("%+v", o)
	}
	var rows []taskRow
	if err := h.o.DB.NewSelect().Model(&rows).Scan(t.Context()); err != nil || len(rows) != 1 || !rows[0].EndedAt.IsZero() {
		t.Errorf("%+v %v", rows, err)
	}
}
