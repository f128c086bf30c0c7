package docker

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

func TestRunContainer(t *testing.T) {
	e := needEngine(t, Options{})
	s := spec(t, &pipeline.ContainerSpec{Image: imageShell})
	s.Services = []runner.ServiceSpec{{Name: "peer", ContainerSpec: pipeline.ContainerSpec{Image: imageShell, Command: "nc -ll -p 80 -e echo reached"}}}
	ws := openJob(t, e, s)
	if err := ws.WriteFile(t.Context(), "/__w/_temp/commands/out", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	sh(t, ws, "echo content >file")
	env := append(ws.Environ(), pipeline.EnvVar{Name: "GITHUB_OUTPUT", Value: "/__w/_temp/commands/out"}, pipeline.EnvVar{Name: "INPUT_A", Value: "b"})
	for _, tt := range []struct {
		name string
		run  runner.ContainerRun
		want string
		code int
	}{
		{"paths and environment", runner.ContainerRun{Image: "docker://" + imageShell, Entrypoint: "sh -c", Args: []string{`pwd; cat file; echo $HOME $INPUT_A $GITHUB_OUTPUT $FROM_IMAGE; echo k=v >>$GITHUB_OUTPUT`}, Env: env},
			"/github/workspace\ncontent\n/github/home b /github/runner_temp/commands/out yes\n", 0},
		{"arguments", runner.ContainerRun{Image: imageShell, Args: []string{"echo", "/__w/demo/demo/file", "--x=/__w/_temp/y", "/__works"}, Env: env}, "/github/workspace/file --x=/github/runner_temp/y /__works\n", 0},
		{"status", runner.ContainerRun{Image: imageShell, Entrypoint: "false", Env: env}, "", 1},
		{"the job's network", runner.ContainerRun{Image: imageShell, Args: []string{"nc", "peer", "80"}, Env: env}, "reached\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out logBuffer
			exit, err := e.RunContainer(t.Context(), ws, tt.run, runner.Command{}, runner.Stdio{Out: &out})
			if err != nil || exit.Code != tt.code || out.String() != tt.want {
				t.Errorf("exit %+v, error %v, output %q, want %q", exit, err, out.String(), tt.want)
			}
		})
	}
	if b, err := ws.ReadFile(t.Context(), "/__w/_temp/commands/out", 100); string(b) != "k=v\n" {
		t.Errorf("command file %q, %v", b, err)
	}
	if _, err := e.RunContainer(t.Context(), ws, runner.ContainerRun{Image: "gantry-test/absent:1"}, runner.Command{}, runner.Stdio{}); err == nil || !strings.Contains(err.Error(), "is not here") {
		t.Errorf("got %v", err)
	}
}

func TestRunContainerCancel(t *testing.T) {
	e := needEngine(t, Options{})
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
	for _, tt := range []struct {
		name, script string
		kill         bool
		code         int
	}{
		{"interrupt", `trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done`, false, 9},
		{"kill", `trap '' INT TERM; echo ready; while :; do sleep 0.05; done`, true, 137},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			kill := make(chan struct{})
			var once sync.Once
			out := &logBuffer{seen: func(string) {
				once.Do(func() {
					if cancel(); tt.kill {
						close(kill)
					}
				})
			}}
			exit, err := e.RunContainer(ctx, ws, runner.ContainerRun{Image: imageShell, Args: []string{"sh", "-c", tt.script}}, runner.Command{Interrupt: time.Minute, Terminate: time.Minute, Kill: kill}, runner.Stdio{Out: out})
			if err != nil || exit.Code != tt.code || !exit.Cancelled {
				t.Errorf("exit %+v, error %v", exit, err)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	e := needEngine(t, Options{})
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
	// What is new for each test run is not in the cache yet.
	mark := e.owner.name
	action := "/__w/_actions/one"
	for name, content := range map[string]string{
		"Dockerfile":    "FROM " + imageShell + "\nCOPY . /action\nENTRYPOINT [\"sh\", \"/action/main.sh\"]\n",
		".dockerignore": "secret*\n",
		"main.sh":       "echo " + mark + " $1; ls /action",
		"secret.txt":    "x",
	} {
		if err := ws.WriteFile(t.Context(), action+"/"+name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := ""
	for i, building := range []bool{true, false} {
		var out logBuffer
		exit, err := e.RunContainer(t.Context(), ws, runner.ContainerRun{Build: action, Dockerfile: "Dockerfile", Args: []string{"arg"}}, runner.Command{}, runner.Stdio{Out: &out})
		if err != nil || exit.Code != 0 {
			t.Fatalf("exit %+v, error %v, output %q", exit, err, out.String())
		}
		if !strings.HasSuffix(out.String(), mark+" arg\nDockerfile\nmain.sh\n") && !strings.HasSuffix(out.String(), mark+" arg\nmain.sh\n") {
			t.Errorf("output %q", out.String())
		}
		if got := strings.Contains(out.String(), "Building an image"); got != building {
			t.Errorf("run %d: built %v", i, got)
		}
	}
	images, err := e.api.ImageList(t.Context(), client.ImageListOptions{Filters: client.Filters{}.Add("reference", builtRepository)})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images.Items {
		if image = i.ID; len(i.RepoTags) > 0 {
			_, _ = e.api.ImageRemove(context.Background(), image, client.ImageRemoveOptions{Force: true})
		}
	}

	if err := ws.WriteFile(t.Context(), action+"/Dockerfile", []byte("FROM "+imageShell+"\nRUN echo "+mark+" is wrong && false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out logBuffer
	_, err = e.RunContainer(t.Context(), ws, runner.ContainerRun{Build: action}, runner.Command{}, runner.Stdio{Out: &out})
	if err == nil || !strings.Contains(err.Error(), "non-zero code") || !strings.Contains(out.String(), "is wrong") {
		t.Errorf("error %v, output %q", err, out.String())
	}
	if _, err = e.RunContainer(t.Context(), ws, runner.ContainerRun{Build: action, Dockerfile: "Missing"}, runner.Command{}, runner.Stdio{Out: &out}); err == nil || !strings.Contains(err.Error(), "Missing") {
		t.Errorf("got %v", err)
	}
}

func TestStepEnv(t *testing.T) {
	machine := []pipeline.EnvVar{{Name: "PATH", Value: "/bin"}, {Name: "LANG", Value: "C"}, {Name: "EDITOR", Value: "vi"}}
	env := []pipeline.EnvVar{{Name: "PATH", Value: "/x:/bin"}, {Name: "LANG", Value: "de"}, {Name: "EDITOR", Value: "vi"}, {Name: "F", Value: "/ws/r/f:/ws/rest"}}
	got := stepEnv(machine, env, []mounted{{"/ws/r", "/github/workspace"}})
	want := []pipeline.EnvVar{{Name: "LANG", Value: "de"}, {Name: "F", Value: "/github/workspace/f:/ws/rest"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A host executor's home folder may hold the work folder; then it is not mounted.
func TestStepSpecOfHostWorkspace(t *testing.T) {
	e := &Engine{o: Options{NoSocket: true}}
	home := t.TempDir()
	ws := &hostPaths{machine: pipeline.Machine{Workspace: filepath.Join(home, "w"), Temp: filepath.Join(home, "t"), Home: home, EventFile: filepath.Join(home, "e", "event.json")}}
	cs, err := e.stepSpec(ws, runner.ContainerRun{Image: "x", Args: []string{filepath.Join(home, "t", "f")}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{home + "/w:/github/workspace", home + "/e:/github/workflow", home + "/t:/github/runner_temp"}
	if !slices.Equal(cs.host.Binds, want) || cs.config.Cmd[0] != "/github/runner_temp/f" {
		t.Errorf("binds %q, arguments %q", cs.host.Binds, cs.config.Cmd)
	}
}

// hostPaths is a workspace of this machine, as far as stepSpec looks at it.
type hostPaths struct {
	runner.Workspace
	machine pipeline.Machine
}

func (h *hostPaths) Machine() pipeline.Machine             { return h.machine }
func (h *hostPaths) Environ() []pipeline.EnvVar            { return nil }
func (h *hostPaths) HostPath(p string) (string, bool)      { return p, true }
func (h *hostPaths) Container() *pipeline.RunningContainer { return nil }
