package githubactions

import (
	"sync"
)

// The shapes of a workflow file, after "Workflow syntax for GitHub Actions" and the table "Context availability" of the vendor's
// documentation. They are built at the first use, for the sake of a quick start.
var workflowShape = sync.OnceValue(func() *shape {
	return objectShape("the workflow", map[string]*shape{
		"name":        textShape("name"),
		"description": textShape("description"),
		"run-name":    textShape("run-name").with(whereRun()),
		"on":          onShape(),
		"permissions": permissionsShape(),
		"env":         mapShape("env", textShape("a variable")).with(whereWorkflowEnv()),
		"defaults":    defaultsShape().with(whereRun()),
		"concurrency": concurrencyShape().with(whereRun()),
		"jobs":        mapShape("jobs", jobShape()),
	}, "on", "jobs")
})

func permissionsShape() *shape {
	known := make(map[string]*shape, len(permissionScopes))
	for scope, levels := range permissionScopes {
		known[scope] = oneOfShape("the permission "+scope, levels...)
	}
	return &shape{name: "permissions", text: true, oneOf: []string{"read-all", "write-all"}, fields: &fields{known: known}}
}

func defaultsShape() *shape {
	return objectShape("defaults", map[string]*shape{
		"run": objectShape("defaults.run", map[string]*shape{
			"shell": nonEmptyShape("shell"), "working-directory": nonEmptyShape("working-directory"),
		}),
	})
}

func concurrencyShape() *shape {
	s := objectShape("concurrency", map[string]*shape{
		"group":              nonEmptyShape("group"),
		"cancel-in-progress": boolShape("cancel-in-progress"),
		"queue":              oneOfShape("queue", "single", "max"),
	}, "group")
	s.text = true
	return s
}

func jobShape() *shape {
	jobPlace := whereJob()
	needs := oneOrMoreShape("needs")
	condition := (&shape{name: "if", condition: true}).with(whereJobIf())
	name := textShape("name").with(jobPlace)
	concurrency := concurrencyShape().with(jobPlace)
	concurrency.nonEmpty = true
	strategy := strategyShape()
	permissions := permissionsShape()

	plain := &fields{known: map[string]*shape{
		"name": name, "needs": needs, "if": condition, "strategy": strategy, "permissions": permissions, "concurrency": concurrency,
		"runs-on":                runsOnShape().with(jobPlace),
		"environment":            environmentShape().with(jobPlace),
		"env":                    mapShape("env", textShape("a variable")).with(whereJobEnv()),
		"outputs":                mapShape("outputs", textShape("an output").with(whereJobOutput())),
		"defaults":               defaultsShape().with(whereJobDefaults()),
		"timeout-minutes":        numberShape("timeout-minutes").with(jobPlace),
		"cancel-timeout-minutes": numberShape("cancel-timeout-minutes").with(jobPlace),
		"continue-on-error":      boolShape("continue-on-error").with(jobPlace),
		"container":              containerShape(false).with(jobPlace),
		"services":               servicesShape().with(jobPlace),
		"steps":                  stepsShape(),
		"snapshot":               snapshotShape(),
	}, required: []string{"runs-on"}}
	call := &fields{known: map[string]*shape{
		"name": name, "needs": needs, "if": condition, "strategy": strategy, "permissions": permissions, "concurrency": concurrency,
		"uses": nonEmptyShape("uses"),
		"with": mapShape("with", scalarShape("an input")).with(jobPlace),
		"secrets": {name: "secrets", text: true, oneOf: []string{"inherit"},
			fields: &fields{other: scalarShape("a secret")}, noExpr: true, where: whereCallSecrets()},
	}}
	return &shape{name: "a job", fields: &fields{choose: func(t *token) (f *fields, reason, hint string) {
		if t.has("uses") {
			return call, "", ""
		}
		return plain, "", ""
	}}}
}

func strategyShape() *shape {
	filter := &shape{name: "include and exclude", items: mapShape("an entry of include or exclude", &shape{name: "a value", anything: true})}
	return objectShape("strategy", map[string]*shape{
		"fail-fast":    boolShape("fail-fast"),
		"max-parallel": numberShape("max-parallel"),
		"matrix": {name: "matrix", fields: &fields{
			known: map[string]*shape{"include": filter, "exclude": filter},
			other: &shape{name: "a vector of the matrix", items: &shape{name: "a value", anything: true}},
		}},
	}).with(whereStrategy())
}

func runsOnShape() *shape {
	s := oneOrMoreShape("runs-on")
	s.fields = &fields{known: map[string]*shape{
		"group":  nonEmptyShape("group"),
		"labels": oneOrMoreShape("labels"),
	}}
	return s
}

func environmentShape() *shape {
	s := objectShape("environment", map[string]*shape{
		"name":       textShape("name"),
		"url":        textShape("url").with(whereEnvironmentURL()),
		"deployment": boolShape("deployment"),
	}, "name")
	s.text = true
	return s
}

func containerShape(service bool) *shape {
	s := objectShape("a container", map[string]*shape{
		"image":       nonEmptyShape("image"),
		"options":     textShape("options"),
		"env":         mapShape("env", textShape("a variable")).with(whereContainerEnv()),
		"ports":       listShape("ports"),
		"volumes":     listShape("volumes"),
		"credentials": objectShape("credentials", map[string]*shape{"username": nonEmptyShape("username"), "password": nonEmptyShape("password")}).with(whereCredentials()),
	})
	s.text = true
	if service {
		s.name, s.nonEmpty = "a service", true
		s.fields.known["entrypoint"] = textShape("entrypoint")
		s.fields.known["command"] = textShape("command")
	}
	return s
}

func servicesShape() *shape {
	s := mapShape("services", containerShape(true))
	s.noExpr = true
	return s
}

func snapshotShape() *shape {
	s := objectShape("snapshot", map[string]*shape{
		"image-name": nonEmptyShape("image-name"),
		"version":    nonEmptyShape("version"),
		"if":         (&shape{name: "if", condition: true}).with(whereJob()),
	}, "image-name")
	s.text, s.nonEmpty = true, true
	return s
}

func stepsShape() *shape {
	where := whereStep()
	common := func(more map[string]*shape) *fields {
		more["name"] = textShape("name").with(where)
		more["id"] = nonEmptyShape("id")
		more["continue-on-error"] = boolShape("continue-on-error").with(where)
		return &fields{known: more}
	}
	active := func(more map[string]*shape) *fields {
		more["if"] = (&shape{name: "if", condition: true}).with(whereStepIf())
		more["timeout-minutes"] = numberShape("timeout-minutes").with(where)
		env := mapShape("env", textShape("a variable")).with(where)
		env.noExpr = true
		more["env"] = env
		more["background"] = boolShape("background")
		return common(more)
	}
	step := &shape{name: "a step"}
	steps := &shape{name: "steps", items: step}
	with := mapShape("with", textShape("an input")).with(where)
	with.noExpr = true
	forms := []struct {
		key    string
		fields *fields
	}{
		{"run", active(map[string]*shape{
			"run": textShape("run").with(where), "shell": nonEmptyShape("shell").with(where), "working-directory": textShape("working-directory").with(where),
		})},
		{"uses", active(map[string]*shape{"uses": nonEmptyShape("uses"), "with": with})},
		{"wait", common(map[string]*shape{"wait": oneOrMoreShape("wait")})},
		{"wait-all", common(map[string]*shape{"wait-all": boolShape("wait-all").orNull()})},
		{"cancel", common(map[string]*shape{"cancel": nonEmptyShape("cancel")})},
		{"parallel", common(map[string]*shape{"parallel": steps, "if": (&shape{name: "if", condition: true}).with(whereStepIf())})},
	}
	step.fields = &fields{choose: func(t *token) (f *fields, reason, hint string) {
		var keys []string
		for _, f := range forms {
			if t.has(f.key) {
				return f.fields, "", ""
			}
			keys = append(keys, f.key)
		}
		return nil, "a step needs one of the keys run, uses, wait, wait-all, cancel and parallel", misspelt(t, keys)
	}}
	return steps
}
