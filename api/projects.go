package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/secret"
)

// projectBody is a project as a request has it. Fields that the server sets may be there, as they were read, and have no effect.
type projectBody struct {
	ID     string `json:"id,omitempty" maxLength:"64" doc:"1 to 64 of a-z, 0-9 and -, beginning with a letter." example:"gateway"`
	Name   string `json:"name,omitempty" maxLength:"256"`
	Source struct {
		URL           string `json:"url" maxLength:"2048" doc:"What git clones, or a folder of the server's machine."`
		Path          string `json:"path,omitempty" maxLength:"1024"`
		Folder        bool   `json:"folder,omitempty"`
		DefaultBranch string `json:"default_branch,omitempty" maxLength:"256"`
	} `json:"source"`
	Forge struct {
		Kind             string `json:"kind,omitempty" enum:",github,gitlab,bitbucket"`
		BaseURL          string `json:"base_url,omitempty" maxLength:"2048"`
		Repository       string `json:"repository,omitempty" maxLength:"512"`
		Comment          bool   `json:"comment,omitempty"`
		HasToken         bool   `json:"has_token,omitempty" doc:"Has no effect."`
		HasWebhookSecret bool   `json:"has_webhook_secret,omitempty" doc:"Has no effect."`
	} `json:"forge,omitempty"`
	Poll      int  `json:"poll_seconds,omitempty"`
	Paused    bool `json:"paused,omitempty"`
	Retention struct {
		Runs      int `json:"runs_days,omitempty"`
		Logs      int `json:"logs_days,omitempty"`
		Artifacts int `json:"artifacts_days,omitempty"`
	} `json:"retention,omitempty"`
	CreatedAt any   `json:"created_at,omitempty" doc:"Has no effect."`
	UpdatedAt any   `json:"updated_at,omitempty" doc:"Has no effect."`
	Version   int64 `json:"version,omitempty" doc:"The version that a change was made from; another one meanwhile is a conflict."`
}

func (b *projectBody) project() runs.Project {
	return runs.Project{
		ID: b.ID, Name: b.Name, Poll: b.Poll, Paused: b.Paused, Version: b.Version,
		Source:    runs.Source{URL: b.Source.URL, Path: b.Source.Path, Folder: b.Source.Folder, DefaultBranch: b.Source.DefaultBranch},
		Forge:     runs.Forge{Kind: b.Forge.Kind, BaseURL: b.Forge.BaseURL, Repository: b.Forge.Repository, Comment: b.Forge.Comment},
		Retention: runs.Retention{Runs: b.Retention.Runs, Logs: b.Retention.Logs, Artifacts: b.Retention.Artifacts},
	}
}

// OfProject is the parameter of everything below a project.
type OfProject struct {
	Project string `path:"project" maxLength:"64"`
}

func (s *Server) projects() {
	const tag = "Projects"
	handle(s, operation{id: "list-projects", method: http.MethodGet, path: "/api/v1/projects", tag: tag, scope: onList, action: auth.ProjectRead, summary: "The projects that I may see"},
		func(ctx context.Context, in *Paged) (*answer[jobs.Page[runs.Project]], error) {
			p, err := s.o.Runs.Projects(ctx, s.o.Auth.ReadableProjects(identity(ctx)), in.options())
			return &answer[jobs.Page[runs.Project]]{p}, err
		})
	handle(s, operation{id: "create-project", method: http.MethodPost, path: "/api/v1/projects", tag: tag, scope: onServer, action: auth.ProjectCreate, status: http.StatusCreated, once: true, summary: "Add a project"},
		func(ctx context.Context, in *struct{ Body projectBody }) (*answer[*runs.Project], error) {
			p, err := s.o.Runs.CreateProject(ctx, by(identity(ctx)), in.Body.project())
			return &answer[*runs.Project]{p}, err
		})
	handle(s, operation{id: "get-project", method: http.MethodGet, path: "/api/v1/projects/{project}", tag: tag, scope: onProject, action: auth.ProjectRead, summary: "One project"},
		func(ctx context.Context, in *OfProject) (*answer[*runs.Project], error) {
			p, err := s.o.Runs.Project(ctx, in.Project)
			return &answer[*runs.Project]{p}, err
		})
	handle(s, operation{id: "update-project", method: http.MethodPut, path: "/api/v1/projects/{project}", tag: tag, scope: onProject, action: auth.ProjectWrite, summary: "Change a project's settings"},
		func(ctx context.Context, in *struct {
			OfProject
			Body projectBody
		}) (*answer[*runs.Project], error) {
			p := in.Body.project()
			if p.ID != "" && p.ID != in.Project {
				return nil, &jobs.InvalidError{Field: "id", Value: p.ID, Message: "cannot be changed"}
			}
			p.ID = in.Project
			if err := s.mayPlace(ctx, p); err != nil {
				return nil, err
			}
			changed, err := s.o.Runs.UpdateProject(ctx, by(identity(ctx)), p)
			return &answer[*runs.Project]{changed}, err
		})
	handle(s, operation{id: "delete-project", method: http.MethodDelete, path: "/api/v1/projects/{project}", tag: tag, scope: onProject, action: auth.ProjectDelete, status: http.StatusNoContent, summary: "Remove a project with its runs"},
		func(ctx context.Context, in *OfProject) (*none, error) {
			return nil, s.o.Runs.DeleteProject(ctx, by(identity(ctx)), in.Project)
		})
	handle(s, operation{id: "set-forge-secrets", method: http.MethodPut, path: "/api/v1/projects/{project}/forge", tag: tag, scope: onProject, action: auth.SecretWrite,
		summary: "Set the forge's token and the webhooks' secret", description: "What is left out stays; an empty text removes. Neither is ever shown."},
		func(ctx context.Context, in *struct {
			OfProject
			Body struct {
				Token  *string `json:"token,omitempty" maxLength:"8192"`
				Secret *string `json:"webhook_secret,omitempty" maxLength:"1024"`
			}
		}) (*answer[*runs.Project], error) {
			id := identity(ctx)
			for _, v := range []struct {
				name  string
				value *string
			}{{s.o.TokenSecret, in.Body.Token}, {s.o.HookSecret, in.Body.Secret}} {
				if err := s.setOwn(ctx, id, in.Project, v.name, v.value); err != nil {
					return nil, err
				}
			}
			p, err := s.o.Runs.SetForgeSecrets(ctx, by(id), in.Project, isSet(in.Body.Token), isSet(in.Body.Secret))
			if err == nil && s.o.Changed != nil {
				s.o.Changed(in.Project)
			}
			return &answer[*runs.Project]{p}, err
		})
	handle(s, operation{id: "list-pipelines", method: http.MethodGet, path: "/api/v1/projects/{project}/pipelines", tag: tag, scope: onProject, action: auth.ProjectRead, summary: "The pipelines that a project has at a ref"},
		func(ctx context.Context, in *struct {
			OfProject
			Ref string `query:"ref" maxLength:"512" doc:"A branch, a tag or a commit; empty: the default branch."`
		}) (*answer[items[runs.PipelineInfo]], error) {
			list, err := s.o.Runs.Pipelines(ctx, in.Project, in.Ref)
			return listOf(list), err
		})
	handle(s, operation{id: "list-deliveries", method: http.MethodGet, path: "/api/v1/projects/{project}/deliveries", tag: tag, scope: onProject, action: auth.ProjectRead, summary: "The newest webhooks of a project, and what became of them"},
		func(ctx context.Context, in *OfProject) (*answer[items[runs.Delivery]], error) {
			list, err := s.o.Runs.Deliveries(ctx, in.Project)
			return listOf(list), err
		})
}

// mayPlace refuses to move a project to a place on the server's machine, unless the caller may add projects to the server: what else lies
// there, such as the copies of other projects' repositories, is not a single project's to read.
func (s *Server) mayPlace(ctx context.Context, p runs.Project) error {
	if !onMachine(p.Source) {
		return nil
	}
	before, err := s.o.Runs.Project(ctx, p.ID)
	if err != nil || before.Source.URL == p.Source.URL && before.Source.Folder == p.Source.Folder {
		return err
	}
	return s.o.Auth.Authorize(ctx, identity(ctx), auth.ProjectCreate, auth.AllProjects)
}

// onMachine reports whether git would read a source from the server's disk, by git-clone(1): what is neither a URL nor HOST:PATH, where
// the colon comes before any slash and behind more than a drive's letter.
func onMachine(src runs.Source) bool {
	scheme, _, isURL := strings.Cut(src.URL, "://")
	if src.Folder || isURL {
		return src.Folder || strings.EqualFold(scheme, "file")
	}
	host, _, ok := strings.Cut(src.URL, ":")
	return !ok || len(host) < 2 || strings.ContainsAny(host, `/\`)
}

// isSet says whether a value was given, and whether it is one.
func isSet(v *string) *bool {
	if v == nil {
		return nil
	}
	set := *v != ""
	return &set
}

// setOwn keeps or removes one of the server's own secrets of a project.
func (s *Server) setOwn(ctx context.Context, id *auth.Identity, project, name string, value *string) error {
	if value == nil || name == "" {
		return nil
	}
	if *value != "" {
		_, err := s.o.Secrets.Put(ctx, id.Actor, project, "", name, *value)
		return err
	}
	list, err := s.o.Secrets.ListOwn(ctx, project)
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.Name == name {
			return s.o.Secrets.Delete(ctx, id.Actor, project, "", name)
		}
	}
	return nil
}

// OfEnvironment restricts to one environment.
type OfEnvironment struct {
	Environment string `query:"environment" maxLength:"128" doc:"Only for jobs of this environment; empty: all jobs."`
}

func (s *Server) settings() {
	const tag = "Settings of projects"
	type Named struct {
		OfProject
		Name string `path:"name" maxLength:"128"`
	}
	handle(s, operation{id: "list-environments", method: http.MethodGet, path: "/api/v1/projects/{project}/environments", tag: tag, scope: onProject, action: auth.ProjectRead, summary: "Environments and their rules"},
		func(ctx context.Context, in *OfProject) (*answer[items[runs.Environment]], error) {
			list, err := s.o.Runs.Environments(ctx, in.Project)
			return listOf(list), err
		})
	handle(s, operation{id: "put-environment", method: http.MethodPut, path: "/api/v1/projects/{project}/environments/{name}", tag: tag, scope: onProject, action: auth.ProjectWrite, summary: "Set an environment's rules"},
		func(ctx context.Context, in *struct {
			Named
			Body struct {
				Project    string   `json:"project,omitempty" doc:"Has no effect."`
				Name       string   `json:"name,omitempty" doc:"Has no effect."`
				Approvals  int      `json:"approvals,omitempty" doc:"How many people have to approve."`
				Approvers  []string `json:"approvers,omitempty" maxItems:"256" doc:"Who may; empty: whoever may approve in the project."`
				NotStarter bool     `json:"not_starter,omitempty" doc:"Who started the run may not approve it."`
				Wait       int      `json:"wait_minutes,omitempty"`
				Refs       []string `json:"refs,omitempty" maxItems:"256" doc:"Patterns of the only refs that may deploy; empty: all."`
				Expire     int      `json:"expire_hours,omitempty"`
				UpdatedAt  any      `json:"updated_at,omitempty" doc:"Has no effect."`
			}
		}) (*answer[*runs.Environment], error) {
			b := in.Body
			e, err := s.o.Runs.PutEnvironment(ctx, by(identity(ctx)), runs.Environment{
				Project: in.Project, Name: in.Name, Approvals: b.Approvals, Approvers: b.Approvers, NotStarter: b.NotStarter, Wait: b.Wait, Refs: b.Refs, Expire: b.Expire,
			})
			return &answer[*runs.Environment]{e}, err
		})
	handle(s, operation{id: "delete-environment", method: http.MethodDelete, path: "/api/v1/projects/{project}/environments/{name}", tag: tag, scope: onProject, action: auth.ProjectWrite, status: http.StatusNoContent, summary: "Remove an environment's rules"},
		func(ctx context.Context, in *Named) (*none, error) {
			return nil, s.o.Runs.DeleteEnvironment(ctx, by(identity(ctx)), in.Project, in.Name)
		})
	handle(s, operation{id: "list-variables", method: http.MethodGet, path: "/api/v1/projects/{project}/variables", tag: tag, scope: onProject, action: auth.ProjectRead, summary: "Variables of a project's jobs"},
		func(ctx context.Context, in *OfProject) (*answer[items[runs.Variable]], error) {
			list, err := s.o.Runs.Variables(ctx, in.Project)
			return listOf(list), err
		})
	handle(s, operation{id: "put-variable", method: http.MethodPut, path: "/api/v1/projects/{project}/variables/{name}", tag: tag, scope: onProject, action: auth.ProjectWrite, summary: "Set a variable"},
		func(ctx context.Context, in *struct {
			Named
			OfEnvironment
			Body struct {
				Value string `json:"value" maxLength:"65536"`
			}
		}) (*answer[*runs.Variable], error) {
			v, err := s.o.Runs.PutVariable(ctx, by(identity(ctx)), runs.Variable{Project: in.Project, Environment: in.Environment, Name: in.Name, Value: in.Body.Value})
			return &answer[*runs.Variable]{v}, err
		})
	handle(s, operation{id: "delete-variable", method: http.MethodDelete, path: "/api/v1/projects/{project}/variables/{name}", tag: tag, scope: onProject, action: auth.ProjectWrite, status: http.StatusNoContent, summary: "Remove a variable"},
		func(ctx context.Context, in *struct {
			Named
			OfEnvironment
		}) (*none, error) {
			return nil, s.o.Runs.DeleteVariable(ctx, by(identity(ctx)), in.Project, in.Environment, in.Name)
		})
	handle(s, operation{id: "list-secrets", method: http.MethodGet, path: "/api/v1/projects/{project}/secrets", tag: "Secrets", scope: onProject, action: auth.SecretList, summary: "The names of a project's secrets", description: "Values are written and handed to jobs, and never read."},
		func(ctx context.Context, in *OfProject) (*answer[items[secret.Info]], error) {
			list, err := s.o.Secrets.List(ctx, in.Project)
			return listOf(list), err
		})
	handle(s, operation{id: "put-secret", method: http.MethodPut, path: "/api/v1/projects/{project}/secrets/{name}", tag: "Secrets", scope: onProject, action: auth.SecretWrite, summary: "Set a secret"},
		func(ctx context.Context, in *struct {
			Named
			OfEnvironment
			Body struct {
				Value string `json:"value" maxLength:"65536"`
			}
		}) (*answer[*secret.Info], error) {
			if err := notOwn(in.Name); err != nil {
				return nil, err
			}
			i, err := s.o.Secrets.Put(ctx, identity(ctx).Actor, in.Project, in.Environment, in.Name, in.Body.Value)
			return &answer[*secret.Info]{i}, err
		})
	handle(s, operation{id: "delete-secret", method: http.MethodDelete, path: "/api/v1/projects/{project}/secrets/{name}", tag: "Secrets", scope: onProject, action: auth.SecretWrite, status: http.StatusNoContent, summary: "Remove a secret"},
		func(ctx context.Context, in *struct {
			Named
			OfEnvironment
		}) (*none, error) {
			if err := notOwn(in.Name); err != nil {
				return nil, err
			}
			return nil, s.o.Secrets.Delete(ctx, identity(ctx).Actor, in.Project, in.Environment, in.Name)
		})
	type rotated struct {
		Secrets int `json:"secrets" doc:"How many were encrypted anew."`
	}
	handle(s, operation{id: "rotate-secrets", method: http.MethodPost, path: "/api/v1/secrets/rotate", tag: "Secrets", scope: onServer, action: auth.SettingsWrite, summary: "Encrypt all secrets with a new key"},
		func(ctx context.Context, _ *none) (*answer[rotated], error) {
			n, err := s.o.Secrets.Rotate(ctx, identity(ctx).Actor)
			return &answer[rotated]{rotated{n}}, err
		})
	type serverSettings struct {
		Info
		DataSize int64 `json:"data_size_bytes" doc:"What the database takes on disk."`
	}
	handle(s, operation{id: "get-settings", method: http.MethodGet, path: "/api/v1/settings", tag: "Server", scope: onServer, action: auth.SettingsRead, summary: "How the server is set up"},
		func(ctx context.Context, _ *none) (*answer[serverSettings], error) {
			n, err := s.o.DB.Size(ctx)
			return &answer[serverSettings]{serverSettings{s.o.Info, n}}, err
		})
}

// notOwn keeps the server's own secrets out of reach.
func notOwn(name string) error {
	if len(name) >= len(secret.Own) && name[:len(secret.Own)] == secret.Own {
		return newProblem(http.StatusUnprocessableEntity, "invalid", "name is one of the server's own", Place{Location: "path.name", Message: "must not begin with " + secret.Own})
	}
	return nil
}
