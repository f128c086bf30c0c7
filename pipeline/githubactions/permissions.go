package githubactions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// permissionScopes are the scopes of the job token, with the levels that each can have. Source: "permissions" in the vendor's
// workflow syntax.
var permissionScopes = map[string][]string{
	"actions":              anyLevel,
	"artifact-metadata":    anyLevel,
	"attestations":         anyLevel,
	"checks":               anyLevel,
	"contents":             anyLevel,
	"copilot-requests":     {"write", "none"},
	"deployments":          anyLevel,
	"discussions":          anyLevel,
	"id-token":             {"write", "none"},
	"issues":               anyLevel,
	"models":               {"read", "none"},
	"packages":             anyLevel,
	"pages":                anyLevel,
	"pull-requests":        anyLevel,
	"repository-projects":  anyLevel,
	"security-events":      anyLevel,
	"statuses":             anyLevel,
	"vulnerability-alerts": {"read", "none"},
}

var anyLevel = []string{"read", "write", "none"}

// PermissionsPolicy is what the job token may do where neither workflow nor job says anything. It is a setting of a repository.
type PermissionsPolicy string

const (
	// PolicyUnknown leaves calls without explicit permissions unchecked.
	PolicyUnknown PermissionsPolicy = ""
	// PolicyRead is the restricted default: contents and packages can be read.
	PolicyRead PermissionsPolicy = "LimitedRead"
	// PolicyWrite is the permissive default: everything but an OIDC token.
	PolicyWrite PermissionsPolicy = "Write"
)

// allowed returns the permissions of the policy; nil: not known.
func (p PermissionsPolicy) allowed() map[string]string {
	switch p {
	case PolicyRead:
		return map[string]string{"contents": "read", "packages": "read"}
	case PolicyWrite:
		all := allPermissions("write")
		all["id-token"] = "none"
		return all
	}
	return nil
}

// allPermissions returns every scope at a level, or at the nearest below that it has.
func allPermissions(level string) map[string]string {
	out := make(map[string]string, len(permissionScopes))
	for scope, levels := range permissionScopes {
		switch {
		case slices.Contains(levels, level):
			out[scope] = level
		case level == "write" && slices.Contains(levels, "read"):
			out[scope] = "read"
		}
	}
	return out
}

// checkPermissions reports permissions that a called workflow asks for and its caller does not have. A workflow cannot have
// more than its caller ("Reusing workflows": permissions can only be maintained or reduced).
func (w *workflow) checkPermissions(j *pipeline.Job, ref string, called *pipeline.Pipeline) {
	allowed := j.Permissions
	if allowed == nil {
		allowed = w.options.Permissions.allowed()
	}
	if allowed == nil {
		return
	}
	complain := func(what string, asked map[string]string) bool {
		var wants, haves []string
		for scope, level := range asked {
			if have := cmp.Or(allowed[scope], "none"); levelRank(level) > levelRank(have) {
				wants, haves = append(wants, scope+": "+level), append(haves, scope+": "+have)
			}
		}
		if len(wants) == 0 {
			return false
		}
		slices.Sort(wants)
		slices.Sort(haves)
		w.diags.Add(pipeline.Diagnostic{Pos: j.Pos, Width: len(j.Key), Code: codePermissions,
			Message: fmt.Sprintf("error calling workflow '%s': %s is requesting '%s', but is only allowed '%s'", ref, what, strings.Join(wants, ", "), strings.Join(haves, ", ")),
			Hint:    "grant it under `permissions` of the calling job"})
		return true
	}
	if complain(fmt.Sprintf("the workflow '%s'", ref), called.Permissions) {
		return
	}
	for _, nested := range called.Jobs {
		name := nested.Key
		if !nested.Name.IsZero() && nested.Name.Expr() == nil {
			name = nested.Name.Source()
		}
		complain(fmt.Sprintf("the nested job '%s'", name), nested.Permissions)
	}
}

func levelRank(level string) int { return slices.Index([]string{"none", "read", "write"}, level) }
