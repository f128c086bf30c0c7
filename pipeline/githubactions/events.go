package githubactions

import "slices"

// eventSpec says what the file may say about an event. Source: "Events that trigger workflows" of the vendor's documentation.
type eventSpec struct {
	// types are the activity types; usual are those that count where the file names none, all of them where it is nil.
	types, usual []string
	// freeTypes: the types are the sender's to choose.
	freeTypes bool
	// filters are the keys that restrict the event.
	filters []string
}

var (
	branchFilters = []string{"branches", "branches-ignore"}
	pathFilters   = []string{"paths", "paths-ignore"}
	tagFilters    = []string{"tags", "tags-ignore"}

	changeTypes      = []string{"created", "edited", "deleted"}
	pullRequestTypes = []string{"assigned", "unassigned", "labeled", "unlabeled", "opened", "edited", "closed", "reopened", "synchronize",
		"converted_to_draft", "locked", "unlocked", "enqueued", "dequeued", "milestoned", "demilestoned", "ready_for_review",
		"review_requested", "review_request_removed", "auto_merge_enabled", "auto_merge_disabled"}
	pullRequestUsual = []string{"opened", "synchronize", "reopened"}
)

var events = map[string]eventSpec{
	"branch_protection_rule": {types: changeTypes},
	"check_run":              {types: []string{"created", "rerequested", "completed", "requested_action"}},
	"check_suite":            {types: []string{"completed"}},
	"create":                 {},
	"delete":                 {},
	"deployment":             {},
	"deployment_status":      {},
	"discussion": {types: []string{"created", "edited", "deleted", "transferred", "pinned", "unpinned", "labeled", "unlabeled", "locked",
		"unlocked", "category_changed", "answered", "unanswered"}},
	"discussion_comment": {types: changeTypes},
	"fork":               {},
	"gollum":             {},
	"image_version":      {types: []string{"created", "ready", "deleted"}, filters: []string{"names", "versions"}},
	"issue_comment":      {types: changeTypes},
	"issues": {types: []string{"opened", "edited", "deleted", "transferred", "pinned", "unpinned", "closed", "reopened", "assigned",
		"unassigned", "labeled", "unlabeled", "locked", "unlocked", "milestoned", "demilestoned", "typed", "untyped"}},
	"label":                       {types: changeTypes},
	"merge_group":                 {types: []string{"checks_requested"}, filters: branchFilters},
	"milestone":                   {types: []string{"created", "closed", "opened", "edited", "deleted"}},
	"page_build":                  {},
	"project":                     {types: []string{"created", "closed", "reopened", "edited", "deleted"}},
	"project_card":                {types: []string{"created", "moved", "converted", "edited", "deleted"}},
	"project_column":              {types: []string{"created", "updated", "moved", "deleted"}},
	"public":                      {},
	"pull_request":                {types: pullRequestTypes, usual: pullRequestUsual, filters: slices.Concat(branchFilters, pathFilters)},
	"pull_request_comment":        {types: changeTypes},
	"pull_request_review":         {types: []string{"submitted", "edited", "dismissed"}},
	"pull_request_review_comment": {types: changeTypes},
	"pull_request_target":         {types: pullRequestTypes, usual: pullRequestUsual, filters: slices.Concat(branchFilters, pathFilters)},
	"push":                        {filters: slices.Concat(branchFilters, tagFilters, pathFilters)},
	"registry_package":            {types: []string{"published", "updated"}},
	"release":                     {types: []string{"published", "unpublished", "created", "edited", "deleted", "prereleased", "released"}},
	"repository_dispatch":         {freeTypes: true},
	"schedule":                    {},
	"status":                      {},
	"watch":                       {types: []string{"started"}},
	"workflow_call":               {},
	"workflow_dispatch":           {},
	"workflow_run":                {types: []string{"completed", "requested", "in_progress"}, filters: append([]string{"workflows"}, branchFilters...)},
}

// eventNames returns the names of all events in alphabetical order.
func eventNames() []string {
	names := make([]string, 0, len(events))
	for name := range events {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// onShape is the shape of `on`.
func onShape() *shape {
	names := eventNames()
	known := make(map[string]*shape, len(names))
	for _, name := range names {
		known[name] = eventShape(name, events[name])
	}
	return &shape{
		name: "on", text: true, oneOf: names,
		items:  oneOfShape("an event", names...),
		fields: &fields{known: known},
	}
}

func eventShape(name string, spec eventSpec) *shape {
	s := &shape{name: "the event " + name, null: true, fields: &fields{known: map[string]*shape{}}}
	switch name {
	case "schedule":
		return &shape{name: "schedule", items: objectShape("an entry of schedule", map[string]*shape{
			"cron": nonEmptyShape("cron"), "timezone": nonEmptyShape("timezone"),
		}, "cron")}
	case "workflow_dispatch":
		s.fields.known["inputs"] = mapShape("inputs", dispatchInputShape()).orNull()
		s.fields.tolerant = true
	case "workflow_call":
		s.fields.known["inputs"] = mapShape("inputs", callInputShape())
		s.fields.known["secrets"] = mapShape("secrets", objectShape("a secret", map[string]*shape{
			"description": textShape("description"), "required": boolShape("required"),
		}).orNull())
		s.fields.known["outputs"] = mapShape("outputs", objectShape("an output", map[string]*shape{
			"description": textShape("description"), "value": textShape("value").with(whereCallOutput()),
		}, "value"))
	}
	switch {
	case spec.freeTypes:
		s.fields.known["types"] = oneOrMoreShape("types")
	case spec.types != nil:
		types := oneOfShape("a type of "+name, spec.types...)
		types.items = oneOfShape("a type of "+name, spec.types...)
		s.fields.known["types"] = types
	}
	for _, filter := range spec.filters {
		s.fields.known[filter] = oneOrMoreShape(filter)
	}
	return s
}

func dispatchInputShape() *shape {
	return objectShape("an input", map[string]*shape{
		"description":        textShape("description"),
		"deprecationMessage": textShape("deprecationMessage"),
		"type":               oneOfShape("type", "string", "boolean", "number", "choice", "environment"),
		"required":           boolShape("required"),
		"default":            scalarShape("default"),
		"options":            {name: "options", items: textShape("an option")},
	}).orNull()
}

func callInputShape() *shape {
	return objectShape("an input", map[string]*shape{
		"description":        textShape("description"),
		"deprecationMessage": textShape("deprecationMessage"),
		"type":               oneOfShape("type", "string", "boolean", "number"),
		"required":           boolShape("required"),
		"default":            scalarShape("default").with(whereCallInput()),
	}, "type")
}
