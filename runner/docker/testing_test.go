package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// Images of the tests, made from nothing but a static busybox: one with a shell, and one without.
const (
	imageShell = "gantry-test/shell:1"
	imageBare  = "gantry-test/bare:1"
)

// needEngine returns an engine whose images are there, or skips the test.
func needEngine(t *testing.T, o Options) *Engine {
	t.Helper()
	if o.Root == "" {
		o.Root = t.TempDir()
	}
	o.Pull = PullNever
	e, err := New(t.Context(), o)
	if errors.Is(err, ErrUnreachable) {
		t.Skipf("skipping the test with a real engine (.ci/docker-up starts one): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	buildTestImages(t, e)
	return e
}

var testImages sync.Once

func buildTestImages(t *testing.T, e *Engine) {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("skipping the test with a real engine: no busybox to make images of (.ci/docker-up installs it)")
	}
	testImages.Do(func() {
		binary, err := os.ReadFile(busybox)
		if err != nil {
			t.Fatal(err)
		}
		buildTestImage(t, e, imageShell, map[string]string{"busybox": string(binary), "passwd": "root:x:0:0::/root:/bin/sh\nci:x:1234:1234::/:/bin/sh\n", "Dockerfile": `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY passwd /etc/passwd
ENV PATH=/bin FROM_IMAGE=yes
RUN mkdir -m 1777 /tmp && mkdir /root
`})
		buildTestImage(t, e, imageBare, map[string]string{"busybox": string(binary), "Dockerfile": `FROM scratch
COPY busybox /bin/tail
COPY busybox /bin/sleep
COPY busybox /bin/echo
ENV PATH=/bin
`})
	})
}

func buildTestImage(t *testing.T, e *Engine, name string, files map[string]string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for n, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: n, Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := e.api.ImageBuild(t.Context(), &b, client.ImageBuildOptions{Tags: []string{name}, Remove: true})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var said []string
	if err := followBuild(got.Body, func(l string) { said = append(said, l) }); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(said, "\n"))
	}
}

// logBuffer collects lines of progress and output; it is safe for concurrent use.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	// seen is called with all that has come, after each write.
	seen func(all string)
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p)
	if l.seen != nil {
		l.seen(l.b.String())
	}
	return len(p), nil
}

func (l *logBuffer) line(s string) { _, _ = l.Write([]byte(s + "\n")) }

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func spec(t *testing.T, c *pipeline.ContainerSpec) runner.JobSpec {
	return runner.JobSpec{RunID: "run-1", JobID: t.Name(), Repository: "demo", RunsOn: []string{"ubuntu-latest"}, Container: c, EventFile: []byte(`{"a":1}`), Log: func(l string) { t.Log(l) }}
}

// openJob opens a workspace that is closed, and looked at for left-overs, when the test ends.
func openJob(t *testing.T, e *Engine, s runner.JobSpec) runner.Workspace {
	t.Helper()
	ws, err := e.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ws.Close(context.Background()); err != nil {
			t.Errorf("close the workspace: %v", err)
		}
		nothingLeft(t, e)
	})
	return ws
}

// nothingLeft checks that the engine holds nothing of e's, nor the folder for jobs.
func nothingLeft(t *testing.T, e *Engine) {
	t.Helper()
	filter := client.Filters{}.Add("label", LabelOwner+"="+e.owner.name)
	containers, err := e.api.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: filter})
	if err != nil || len(containers.Items) > 0 {
		t.Errorf("containers left: %v %v", containers.Items, err)
	}
	networks, err := e.api.NetworkList(context.Background(), client.NetworkListOptions{Filters: filter})
	if err != nil || len(networks.Items) > 0 {
		t.Errorf("networks left: %v %v", networks.Items, err)
	}
	left, err := os.ReadDir(e.owner.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("folders left: %v %v", left, err)
	}
}

// sh runs a line of shell and returns its output.
func sh(t *testing.T, ws runner.Workspace, script string) (string, runner.Exit) {
	t.Helper()
	var out logBuffer
	exit, err := ws.Exec(t.Context(), runner.Command{Argv: []string{"sh", "-c", script}, Dir: ws.Machine().Workspace, Env: ws.Environ()}, runner.Stdio{Out: &out})
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out.String(), exit
}
