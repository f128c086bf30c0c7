package githubactions

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// The conformance corpus lies outside of the repository; its README says what makes a case pass.

// knownWrong are the cases that are believed wrong, each explained in docs/conformance.md.
var knownWrong = map[string]bool{
	"parse-error/errors-max-result-size": true,
}

// conformanceCase is an entry of a cases.json.
type conformanceCase struct {
	Name     string
	Root     string
	Entry    string
	Expected string
	Refs     []string
	Options  struct {
		Policy   PermissionsPolicy `json:"permissions-policy"`
		MaxSize  int               `json:"max-file-size"`
		MaxJobs  int               `json:"max-job-limit"`
		MaxDepth int               `json:"max-nested-reusable-workflows-depth"`
	}
	Errors   []finding
	Linter   []finding
	Findings []finding

	dir string
}

type finding struct {
	File         string
	Line, Col    int
	Message      string
	MessageRegex string `json:"message_regex"`
	Approx       bool
}

// corpus returns the cases of a kind, or skips the test with the path it looked for.
func corpus(t *testing.T, kind string) []conformanceCase {
	t.Helper()
	root := os.Getenv("GANTRY_CONFORMANCE")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(dir, "..", "shared", "conformance")
	}
	dir := filepath.Join(root, "github", kind)
	data, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no conformance corpus at %s; set GANTRY_CONFORMANCE to its folder", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	var cases []conformanceCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		cases[i].dir = filepath.Join(dir, cases[i].Root)
	}
	return cases
}

// refs resolves workflows of other repositories from the folder of a case.
type refs string

func (r refs) Workflow(ref string) (string, []byte, error) {
	content, err := os.ReadFile(filepath.Join(string(r), filepath.FromSlash(ref)))
	return ref, content, err
}

func (c *conformanceCase) parse(t *testing.T, alone bool) (*pipeline.Pipeline, pipeline.Diagnostics) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, c.Entry))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(c.Entry, content, Options{
		FS: os.DirFS(c.dir), Resolver: refs(filepath.Join(c.dir, "refs")), Alone: alone,
		MaxFileSize: c.Options.MaxSize, MaxJobs: c.Options.MaxJobs, MaxCallDepth: c.Options.MaxDepth, Permissions: c.Options.Policy,
	})
}

// runCases runs a subtest for each case, prints the count, and fails below a share of passes or for a case that is not known
// to be wrong.
func runCases(t *testing.T, kind string, cases []conformanceCase, share float64, check func(t *testing.T, c *conformanceCase) error) {
	t.Helper()
	passed := 0
	for i := range cases {
		c := &cases[i]
		t.Run(c.Name, func(t *testing.T) {
			err := check(t, c)
			switch known := knownWrong[kind+"/"+c.Name]; {
			case err == nil && known:
				t.Errorf("passes: take it off the list of wrong cases")
				passed++
			case err == nil:
				passed++
			case known:
				t.Logf("known to be wrong: %v", err)
			default:
				t.Error(err)
			}
		})
	}
	fmt.Printf("conformance github/%s: %d/%d\n", kind, passed, len(cases))
	if float64(passed) < share*float64(len(cases)) {
		t.Errorf("%d of %d cases pass, at least %.0f %% have to", passed, len(cases), 100*share)
	}
}

func TestConformanceParseOK(t *testing.T) {
	runCases(t, "parse-ok", corpus(t, "parse-ok"), 1, func(t *testing.T, c *conformanceCase) error {
		p, diags := c.parse(t, true)
		if err := diags.Err(); err != nil {
			return err
		}
		if p == nil {
			return errors.New("no pipeline and no error")
		}
		return nil
	})
}

func TestConformanceParseError(t *testing.T) {
	runCases(t, "parse-error", corpus(t, "parse-error"), 0.95, func(t *testing.T, c *conformanceCase) error {
		_, diags := c.parse(t, false)
		if !diags.HasErrors() {
			return errors.New("accepted")
		}
		for _, d := range diags {
			if d.Severity == pipeline.Error && (d.Pos.Line == 0 || d.Pos.Col == 0 || d.Pos.File == "" || d.Code == "" || d.Message == "") {
				return fmt.Errorf("not located or not coded: %+v", d)
			}
		}
		located := false
		for _, want := range c.Errors {
			if want.Line == 0 {
				continue
			}
			located = true
			file := want.File
			if file == "" {
				file = c.Entry
			}
			for _, d := range diags {
				if off := d.Pos.Line - want.Line; d.Severity == pipeline.Error && d.Pos.File == file && (off == 0 || want.Approx && off >= -1 && off <= 1) {
					return nil
				}
			}
		}
		if located {
			return fmt.Errorf("no error on one of the lines of %+v:\n%v", c.Errors, diags.Err())
		}
		return nil
	})
}

func TestConformanceLint(t *testing.T) {
	// Reporting the findings is a goal; that the files parse is required.
	runCases(t, "lint", corpus(t, "lint"), 1, func(t *testing.T, c *conformanceCase) error {
		_, diags := c.parse(t, true)
		if err := diags.Err(); err != nil {
			return err
		}
		for _, want := range c.Findings {
			found := false
			for _, d := range diags {
				found = found || d.Pos.Line == want.Line
			}
			if !found {
				return fmt.Errorf("line %d: no warning like %q", want.Line, want.Message+want.MessageRegex)
			}
		}
		return nil
	})
}

func TestConformanceGolden(t *testing.T) {
	runCases(t, "golden", corpus(t, "golden"), 0.95, func(t *testing.T, c *conformanceCase) error {
		p, diags := c.parse(t, false)
		if err := diags.Err(); err != nil {
			return err
		}
		data, err := os.ReadFile(filepath.Join(c.dir, c.Expected))
		if err != nil {
			return err
		}
		var want any
		if err := json.Unmarshal(data, &want); err != nil {
			return err
		}
		return compareGolden(c, p, want)
	})
}

// read returns the tokens of a workflow of a case, by the name that the pipeline has for it.
func (c *conformanceCase) read(file string) (*token, error) {
	name := filepath.Join(c.dir, file)
	if strings.Contains(file, "@") {
		name = filepath.Join(c.dir, "refs", file)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var diags pipeline.Diagnostics
	root, src := load(file, content, DefaultMaxFileSize, &diags)
	if root == nil {
		return nil, diags.Err()
	}
	(&reader{src: src, diags: &diags}).read(root, workflowShape(), nil)
	return root, diags.Err()
}
