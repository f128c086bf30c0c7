package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

func TestNewUnreachable(t *testing.T) {
	_, err := New(t.Context(), Options{Host: "unix:///nowhere/docker.sock", Root: t.TempDir()})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "unix:///nowhere/docker.sock") || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("got %v", err)
	}
}

func TestOpen(t *testing.T) {
	e := needEngine(t, Options{})
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell, Options: "--hostname box --cpus 1 --memory 256m --shm-size 32m --cap-drop NET_RAW --tmpfs /scratch:size=1m", Volumes: []string{"/data"}}))
	m := ws.Machine()
	if m.OS != "Linux" || m.Workspace != "/__w/demo/demo" || m.Temp != "/__w/_temp" || m.Tools != "/__t" || m.Home != "/github/home" || m.EventFile != "/github/workflow/event.json" {
		t.Errorf("machine %+v", m)
	}
	out, exit := sh(t, ws, `hostname; cat /github/workflow/event.json; echo; for d in /__w/_actions "$HOME" /__t /data /scratch; do echo x >$d/f && echo $d; done; grep -c ' /scratch tmpfs' /proc/mounts`)
	if want := "box\n{\"a\":1}\n/__w/_actions\n/github/home\n/__t\n/data\n/scratch\n1\n"; out != want || exit.Code != 0 {
		t.Errorf("got %q, %+v; want %q", out, exit, want)
	}
	if c := ws.Container(); c.ID == "" || c.Network == "" {
		t.Errorf("container %+v", c)
	}
	if ws.Services() != nil {
		t.Errorf("services %v", ws.Services())
	}
}

func TestOpenByLabel(t *testing.T) {
	e := needEngine(t, Options{Images: map[string]string{"Ubuntu-Latest": imageShell}})
	ws := openJob(t, e, spec(t, nil))
	if out, _ := sh(t, ws, "echo $FROM_IMAGE"); out != "yes\n" {
		t.Errorf("got %q", out)
	}
	s := spec(t, nil)
	s.RunsOn = []string{"windows-latest"}
	if _, err := e.Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), `"windows-latest"`) {
		t.Errorf("got %v", err)
	}
}

func TestOpenInPlace(t *testing.T) {
	e := needEngine(t, Options{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("here"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := spec(t, &pipeline.ContainerSpec{Image: imageShell})
	s.InPlace = dir
	ws, err := e.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := sh(t, ws, "cat a; echo there >b"); out != "here" {
		t.Errorf("got %q", out)
	}
	if host, ok := ws.HostPath("/__w/demo/demo/b"); !ok || host != filepath.Join(dir, "b") {
		t.Errorf("host path %q, %v", host, ok)
	}
	if err := ws.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "b")); string(b) != "there\n" {
		t.Errorf("after the job: %q, %v", b, err)
	}
	nothingLeft(t, e)
}

// A user other than Gantry's can use what Gantry writes, and what the user leaves is removed.
func TestOpenAsUser(t *testing.T) {
	e := needEngine(t, Options{})
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell, Options: "--user 1234"}))
	if err := ws.WriteFile(t.Context(), "/__w/_temp/commands/step/output", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, exit := sh(t, ws, `id -u; echo a >>/__w/_temp/commands/step/output && mkdir -p sub/dir && echo b >sub/dir/f && chmod 500 sub/dir && cat /__w/_temp/commands/step/output`)
	if out != "1234\na\n" || exit.Code != 0 {
		t.Errorf("got %q, %+v", out, exit)
	}
}

func TestServices(t *testing.T) {
	e := needEngine(t, Options{})
	s := spec(t, &pipeline.ContainerSpec{Image: imageShell})
	s.Services = []runner.ServiceSpec{
		{Name: "web", ContainerSpec: pipeline.ContainerSpec{Image: imageShell, Env: []pipeline.EnvVar{{Name: "SAY", Value: "hello"}}, Ports: []string{"8080"},
			Entrypoint: "sh -c", Command: `'sleep 0.3; touch /up; exec nc -ll -p 8080 -e echo $SAY'`,
			Options: `--health-cmd "test -e /up" --health-interval 100ms --health-retries 50`}},
		{Name: "idle", ContainerSpec: pipeline.ContainerSpec{Image: imageShell, Command: "sleep 1000"}},
	}
	ws := openJob(t, e, s)
	if out, exit := sh(t, ws, "nc web 8080 </dev/null"); out != "hello\n" {
		t.Errorf("from the job's container: %q, %+v", out, exit)
	}
	web := ws.Services()["web"]
	if web.Network == "" || web.ID == "" || web.Ports["8080"] == "" {
		t.Fatalf("facts %+v", web)
	}
	if idle := ws.Services()["idle"]; len(idle.Ports) > 0 || idle.ID == "" {
		t.Errorf("facts %+v", idle)
	}
	if !strings.HasPrefix(e.api.DaemonHost(), "unix://") {
		return
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+web.Ports["8080"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if b, err := io.ReadAll(conn); string(b) != "hello\n" {
		t.Errorf("by the published port: %q, %v", b, err)
	}
}

func TestStartServices(t *testing.T) {
	e := needEngine(t, Options{})
	s := spec(t, nil)
	s.Services = []runner.ServiceSpec{{Name: "db", ContainerSpec: pipeline.ContainerSpec{Image: imageShell, Ports: []string{"5432/tcp"}, Command: "nc -ll -p 5432 -e echo up"}}}
	set, err := e.StartServices(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if f := set.Running()["db"]; f.Ports["5432"] == "" || f.Network != set.Network() {
		t.Errorf("facts %+v", f)
	}
	if err := set.Close(t.Context()); err != nil {
		t.Error(err)
	}
	nothingLeft(t, e)
}

func TestServiceFails(t *testing.T) {
	e := needEngine(t, Options{})
	for _, tt := range []struct {
		name string
		c    pipeline.ContainerSpec
		want []string
	}{
		{"exits", pipeline.ContainerSpec{Command: `sh -c 'echo no data folder; exit 5'`, Options: "--health-cmd false --health-interval 5s"}, []string{"status 5", "no data folder"}},
		{"unhealthy", pipeline.ContainerSpec{Command: `sh -c 'echo deaf; sleep 1000'`, Options: `--health-cmd "echo refused; exit 1" --health-interval 50ms --health-retries 1`}, []string{"unhealthy", "refused", "deaf"}},
		{"absent", pipeline.ContainerSpec{Image: "gantry-test/absent:1"}, []string{`image "gantry-test/absent:1" is not here`, "hint"}},
		{"options", pipeline.ContainerSpec{Options: "--network host"}, []string{"--network is not supported"}},
		{"port", pipeline.ContainerSpec{Ports: []string{"http"}}, []string{`port "http"`}},
		{"no program", pipeline.ContainerSpec{Command: "nothing-like-it"}, []string{"nothing-like-it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.c.Image == "" {
				tt.c.Image = imageShell
			}
			s := spec(t, &pipeline.ContainerSpec{Image: imageShell})
			s.Services = []runner.ServiceSpec{{Name: "db", ContainerSpec: tt.c}}
			_, err := e.Open(t.Context(), s)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range append(tt.want, `service "db"`) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not hold %q", err, w)
				}
			}
			nothingLeft(t, e)
		})
	}
}

func TestOpenCancelled(t *testing.T) {
	e := needEngine(t, Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	s := spec(t, &pipeline.ContainerSpec{Image: imageShell})
	s.Services = []runner.ServiceSpec{{Name: "db", ContainerSpec: pipeline.ContainerSpec{Image: imageShell, Command: "sleep 1000", Options: "--health-cmd false --health-interval 1h"}}}
	s.Log = func(l string) {
		if strings.Contains(l, "Waiting for service db") {
			cancel(cause)
		}
	}
	if _, err := e.Open(ctx, s); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	nothingLeft(t, e)
}

// What a process that was killed left behind goes when the next one starts; what a living one has stays.
func TestSweep(t *testing.T) {
	root := t.TempDir()
	alive := needEngine(t, Options{Root: root})
	kept := openJob(t, alive, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
	dead := needEngine(t, Options{Root: root})
	lost, err := dead.Open(t.Context(), spec(t, &pipeline.ContainerSpec{Image: imageShell, Volumes: []string{"/data"}}))
	if err != nil {
		t.Fatal(err)
	}
	sh(t, lost, "echo x >left; echo y >/data/left")
	lock := dead.owner.lock
	lock.Close() // as the end of the process does
	next := needEngine(t, Options{Root: root})
	nothing, err := next.api.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", LabelOwner+"="+dead.owner.name)})
	if err != nil || len(nothing.Items) > 0 {
		t.Errorf("left: %v %v", nothing.Items, err)
	}
	if _, err := os.Stat(dead.owner.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder of the dead: %v", err)
	}
	if out, _ := sh(t, kept, "echo still here"); out != "still here\n" {
		t.Errorf("the living: %q", out)
	}
	lost.(*workspace).end()
}

func TestImagesForErrors(t *testing.T) {
	e := needEngine(t, Options{Image: "gantry-test/absent:1"})
	_, err := e.Open(t.Context(), spec(t, nil))
	if err == nil || !strings.Contains(err.Error(), `image "gantry-test/absent:1" is not here`) {
		t.Errorf("got %v", err)
	}
	e.o.Pull = PullMissing
	_, err = e.Open(t.Context(), spec(t, &pipeline.ContainerSpec{Image: "127.0.0.1:1/absent:1"}))
	if err == nil || !strings.Contains(err.Error(), `pull image "127.0.0.1:1/absent:1"`) {
		t.Errorf("got %v", err)
	}
	t.Log(err)
	_, err = e.Open(t.Context(), spec(t, &pipeline.ContainerSpec{Image: imageShell, Options: "--entrypoint sh --net host --frob"}))
	if err == nil || !strings.Contains(err.Error(), "--frob") {
		t.Errorf("got %v", err)
	}
	nothingLeft(t, e)
}
