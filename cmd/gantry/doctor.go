package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/runner/docker"
	"github.com/gantry-ops/gantry/store"
)

const doctorLong = `Doctor looks at this machine and says what is missing, why it matters, and what to do about it.

It changes nothing and starts nothing. Of what it names, some things are required, such as git; without the others, gantry works and
cannot do the part that is said.

Exit codes: 0 nothing that is required is missing, 1 something is.`

// Verdicts of a finding.
const (
	wellOK      = "ok"
	wellWarning = "warning"
	wellMissing = "missing"
)

// finding is what was found about one thing that gantry needs.
type finding struct {
	Name string `json:"name"`
	// Status is ok, warning (a part does not work) or missing (nothing does).
	Status string `json:"status"`
	// Found is what is there.
	Found string `json:"found"`
	// Why says what it is needed for, Mend what to do; empty where all is well.
	Why  string `json:"why,omitempty"`
	Mend string `json:"mend,omitempty"`
}

// examination is what doctor looks at.
type examination struct {
	data, db, listen string
	now              func() time.Time
}

func newDoctorCommand() *cobra.Command {
	var output choiceFlag
	e := examination{now: time.Now}
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Say what this machine lacks, and why it matters",
		Long:    doctorLong,
		Example: "  gantry doctor\n  gantry doctor --db postgres://gantry@db.example.com/gantry\n  gantry doctor --output json | jq '.[] | select(.status != \"ok\")'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.data == "" {
				state, err := stateDir()
				if err != nil {
					return err
				}
				e.data = filepath.Join(state, "server")
			}
			found := e.examine(cmd.Context())
			var err error
			if output.value == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(found)
			} else {
				err = showFindings(cmd.OutOrStdout(), found)
			}
			for _, f := range found {
				if err == nil && f.Status == wellMissing {
					err = told(exitFailed)
				}
			}
			return err
		},
	}
	output.register(cmd, "text", "json")
	cmd.Flags().StringVar(&e.data, "data", os.Getenv("GANTRY_DATA"), "the server's `DIR` (default: as gantry up has it)")
	cmd.Flags().StringVar(&e.db, "db", os.Getenv("GANTRY_DB"), "the server's database `URL` (default: SQLite in the data folder)")
	cmd.Flags().StringVar(&e.listen, "listen", cmp.Or(os.Getenv("GANTRY_LISTEN"), "127.0.0.1:7070"), "the `ADDRESS` that the server is to listen on")
	return cmd
}

// examine looks at everything, at the same time, and returns what it found in a fixed order.
func (e *examination) examine(ctx context.Context) []finding {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	checks := []func(context.Context) finding{e.git, e.shell, e.node, e.docker, e.dataFolder, e.space, e.database, e.address, e.clock}
	found := make([]finding, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { found[i] = check(ctx) })
	}
	wg.Wait()
	return found
}

// showFindings writes a line for each, and below it what to do where something is wrong.
func showFindings(w io.Writer, found []finding) error {
	var b strings.Builder
	signs := map[string]string{wellOK: "✓", wellWarning: "!", wellMissing: "✗"}
	wrong := 0
	for _, f := range found {
		fmt.Fprintf(&b, "%s %-10s %s\n", signs[f.Status], f.Name, f.Found)
		if f.Status == wellOK {
			continue
		}
		wrong++
		fmt.Fprintf(&b, "             why:  %s\n             mend: %s\n", f.Why, f.Mend)
	}
	if wrong == 0 {
		b.WriteString("\nnothing is missing\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// oldestGit has what work copies and mirrors are made with: objects by alternates, partial clones, and `ls-remote --symref`.
var oldestGit = [2]int{2, 30}

var versionNumber = regexp.MustCompile(`(\d+)\.(\d+)`)

// programVersion runs a program and returns the first line that it prints.
func programVersion(ctx context.Context, program string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line, err
}

// atLeast compares the first number of the form 1.2 in a text.
func atLeast(text string, oldest [2]int) bool {
	m := versionNumber.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	major, err1 := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	if err1 != nil || err2 != nil {
		return false
	}
	return major > oldest[0] || major == oldest[0] && minor >= oldest[1]
}

func (e *examination) git(ctx context.Context) finding {
	f := finding{Name: "git", Status: wellOK, Why: "all code is read and checked out by git"}
	line, err := programVersion(ctx, "git", "--version")
	switch {
	case err != nil:
		f.Status, f.Found, f.Mend = wellMissing, "git is not in PATH", "install git, for example: apt-get install git"
	case !atLeast(line, oldestGit):
		f.Status, f.Found, f.Mend = wellMissing, line, fmt.Sprintf("install git %d.%d or newer", oldestGit[0], oldestGit[1])
	default:
		return finding{Name: f.Name, Status: wellOK, Found: line}
	}
	return f
}

func (e *examination) shell(ctx context.Context) finding {
	line, err := programVersion(ctx, "bash", "--version")
	if err != nil {
		return finding{"bash", wellWarning, "bash is not in PATH", "steps without a shell of their own run in bash, and fall back to sh, which lacks pipefail", "install bash"}
	}
	return finding{Name: "bash", Status: wellOK, Found: line}
}

func (e *examination) node(ctx context.Context) finding {
	f := finding{Name: "node", Status: wellWarning, Why: "JavaScript actions run on node; built-in ones (checkout, cache, artifacts, set-up) do not need it", Mend: "install Node 20 or newer"}
	line, err := programVersion(ctx, "node", "--version")
	switch {
	case err != nil:
		f.Found = "node is not in PATH"
	case !atLeast(line, [2]int{20, 0}):
		f.Found = line
	default:
		return finding{Name: f.Name, Status: wellOK, Found: line}
	}
	return f
}

func (e *examination) docker(ctx context.Context) finding {
	f := finding{Name: "docker", Status: wellWarning, Why: "jobs with a container or services, and container actions, need a Docker Engine; others do not",
		Mend: "install and start one, or set DOCKER_HOST"}
	temp, err := os.MkdirTemp("", "gantry-doctor-")
	if err != nil {
		f.Found = err.Error()
		return f
	}
	defer os.RemoveAll(temp)
	engine, err := docker.New(ctx, docker.Options{Root: temp})
	if err != nil {
		f.Found = oneLine(err.Error())
		return f
	}
	if err := engine.Close(); err != nil {
		f.Found = oneLine(err.Error())
		return f
	}
	return finding{Name: f.Name, Status: wellOK, Found: "the engine answers"}
}

// oneLine makes one line of a message that has several.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// above is the nearest folder of a path that is there.
func above(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func (e *examination) dataFolder(context.Context) finding {
	f := finding{Name: "data", Status: wellMissing, Why: "the server keeps its database, logs, artifacts and keys there"}
	at := above(e.data)
	temp, err := os.CreateTemp(at, ".gantry-doctor-")
	if err != nil {
		f.Found, f.Mend = fmt.Sprintf("%s cannot be written: %v", at, err), "choose another folder by --data, or give this user the right to write there"
		return f
	}
	_ = temp.Close()
	if err := os.Remove(temp.Name()); err != nil {
		f.Found, f.Mend = err.Error(), "look at the rights of the folder"
		return f
	}
	found := e.data
	if at != e.data {
		found += " (not there yet, and can be made)"
	}
	return finding{Name: f.Name, Status: wellOK, Found: found}
}

// What doctor calls little room.
const (
	littleRoom = 5 << 30
	noRoom     = 256 << 20
)

func (e *examination) space(context.Context) finding {
	f := finding{Name: "disk", Why: "work copies, artifacts, caches and logs are on that disk; when it is full, jobs fail and nothing new is accepted", Mend: "free some space, or choose another disk by --data"}
	free, err := freeSpace(above(e.data))
	switch {
	case err != nil:
		f.Status, f.Found = wellWarning, err.Error()
	case free < noRoom:
		f.Status, f.Found = wellMissing, fmt.Sprintf("%d MiB free", free>>20)
	case free < littleRoom:
		f.Status, f.Found = wellWarning, fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30))
	default:
		return finding{Name: f.Name, Status: wellOK, Found: fmt.Sprintf("%.0f GiB free", float64(free)/(1<<30))}
	}
	return f
}

// database is opened only where it is PostgreSQL: opening SQLite would make the file.
func (e *examination) database(ctx context.Context) finding {
	if e.db == "" || !strings.HasPrefix(e.db, "postgres") {
		return finding{Name: "database", Status: wellOK, Found: "SQLite in the data folder"}
	}
	f := finding{Name: "database", Status: wellMissing, Why: "the server keeps projects, runs and events there", Mend: "start PostgreSQL, and look at the address, the account and its rights"}
	version, err := store.Probe(ctx, e.db)
	if err != nil {
		f.Found = oneLine(err.Error())
		return f
	}
	return finding{Name: f.Name, Status: wellOK, Found: version}
}

func (e *examination) address(ctx context.Context) finding {
	f := finding{Name: "address", Status: wellWarning, Why: "the server listens there"}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", e.listen)
	if err != nil {
		f.Found, f.Mend = oneLine(err.Error()), "it may be that a server is running there already; if not, choose another address by --listen"
		return f
	}
	if err := l.Close(); err != nil {
		f.Found, f.Mend = err.Error(), "choose another address by --listen"
		return f
	}
	return finding{Name: f.Name, Status: wellOK, Found: e.listen + " is free"}
}

// oldestNow is before this program was written.
var oldestNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (e *examination) clock(context.Context) finding {
	now := e.now()
	if now.Before(oldestNow) {
		return finding{"clock", wellMissing, now.UTC().Format(time.RFC3339), "certificates, tokens and schedules depend on the time, and events carry it", "set the clock, and keep it set by NTP"}
	}
	return finding{Name: "clock", Status: wellOK, Found: now.UTC().Format(time.RFC3339)}
}
