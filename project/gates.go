package project

import (
	"github.com/gantry-ops/gantry/project/internal/bind"
)

// Gates are what has to be there before a release enters an environment.
type Gates struct {
	// Approvals are by different people; nobody approves a release that they started.
	Approvals []Approval `json:"approvals,omitempty"`
	// Freezes are times in which nothing begins, and nothing goes on to a larger weight or another region. Rollbacks are always possible.
	Freezes []*Freeze `json:"freezes,omitempty"`
	// Require are names of jobs of the pipeline, or of checks that others report, that have succeeded for the candidate.
	Require []string `json:"require,omitempty"`
}

// Approval is how many people have to agree.
type Approval struct {
	// Count is how many, 1 to 20.
	Count int `json:"count"`
	// Role is the role that they have on the server; empty is whoever may approve.
	Role string `json:"role,omitempty"`
}

func (g *Gates) value() bind.Value {
	count := func(a *Approval) bind.Value {
		a.Count = 1
		return bind.Int(&a.Count, "the number of approvals", 1, 20)
	}
	object := func(a *Approval) bind.Value {
		a.Count = 1
		return bind.Of(bind.Object{
			What: "an approval",
			Members: []bind.Member{
				{Key: "count", Value: bind.Int(&a.Count, "the number of approvals", 1, 20), Doc: "How many people; 1 to 20."},
				{Key: "role", Value: name(&a.Role, "the role"), Doc: "The role that they have. Default: whoever may approve."},
			},
		})
	}
	return bind.Of(bind.Object{
		Def: "gates", What: "the gates",
		Members: []bind.Member{
			{Key: "approvals", Doc: "How many people have to agree, by roles; nobody approves a release that they started.",
				Value: bind.Either("the approvals", bind.One(&g.Approvals, count), bind.One(&g.Approvals, object),
					bind.Items(&g.Approvals, "the approvals", 0, object))},
			{Key: "freezes", Value: bind.Named(&g.Freezes, "the freezes", nameKeys("the name of a freeze"), 0, newFreeze, func(f *Freeze) string { return f.Name }, (*Freeze).value), Doc: "Times in which nothing is released, by names of your choice. Rollbacks are always possible."},
			{Key: "require", Value: bind.Items(&g.Require, "the required checks", 0, func(s *string) bind.Value { return bind.String(s, "a check") }), Doc: "Jobs of the pipeline, or checks that others report, that have succeeded for the candidate."},
		},
	})
}
