package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
)

// matcher is a problem matcher: patterns that find messages with places in the output of a compiler or a test. The file
// format is the one that GitHub Actions took over from Visual Studio Code.
type matcher struct {
	Owner    string           `json:"owner"`
	Severity string           `json:"severity"`
	Pattern  []matcherPattern `json:"pattern"`
}

type matcherPattern struct {
	Regexp   string `json:"regexp"`
	File     int    `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity int    `json:"severity"`
	Code     int    `json:"code"`
	Message  int    `json:"message"`
	FromPath int    `json:"fromPath"`
	Loop     bool   `json:"loop"`

	re *regexp.Regexp
}

// maxMatcherFile bounds a matcher file.
const maxMatcherFile = 1 << 20

// addMatchers reads a matcher file; matchers of the same owner are replaced.
func (j *job) addMatchers(ctx context.Context, file string) error {
	content, err := j.ws.ReadFile(ctx, j.dir(file), maxMatcherFile)
	if err != nil {
		return fmt.Errorf("read problem matcher %s: %w", file, err)
	}
	ms, err := parseMatchers(content)
	if err != nil {
		return fmt.Errorf("problem matcher %s: %w", file, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	next := slices.Clone(j.matchers)
	for _, m := range ms {
		next = append(slices.DeleteFunc(next, func(o *matcher) bool { return o.Owner == m.Owner }), m)
	}
	j.matchers = next
	return nil
}

func parseMatchers(content []byte) ([]*matcher, error) {
	var doc struct {
		ProblemMatcher []*matcher `json:"problemMatcher"`
	}
	if err := json.Unmarshal(content, &doc); err != nil {
		return nil, err
	}
	for _, m := range doc.ProblemMatcher {
		if m == nil || m.Owner == "" || len(m.Pattern) == 0 {
			return nil, fmt.Errorf("a matcher needs an owner and a pattern")
		}
		for i := range m.Pattern {
			p := &m.Pattern[i]
			re, err := regexp.Compile(p.Regexp)
			if err != nil {
				return nil, fmt.Errorf("owner %q, pattern %d: %w", m.Owner, i+1, err)
			}
			for _, group := range []int{p.File, p.Line, p.Column, p.Severity, p.Code, p.Message, p.FromPath} {
				if group < 0 || group > re.NumSubexp() {
					return nil, fmt.Errorf("owner %q, pattern %d has no group %d", m.Owner, i+1, group)
				}
			}
			p.re = re
		}
	}
	return doc.ProblemMatcher, nil
}

func (j *job) removeMatcher(owner string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.matchers = slices.DeleteFunc(slices.Clone(j.matchers), func(m *matcher) bool { return m.Owner == owner })
}

func (j *job) activeMatchers() []*matcher {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.matchers
}

func (j *job) hasMatchers() bool { return len(j.activeMatchers()) > 0 }

// watcher follows the matchers through the lines of one process.
type watcher struct{ states map[*matcher]*matchState }

type matchState struct {
	next  int // pattern to match
	found pipeline.Annotation
	from  string
}

// line returns the problems that end with this line.
func (w *watcher) line(ms []*matcher, line string) []pipeline.Annotation {
	if w.states == nil {
		w.states = map[*matcher]*matchState{}
	}
	var out []pipeline.Annotation
	for _, m := range ms {
		s := w.states[m]
		if s == nil {
			s = &matchState{}
			w.states[m] = s
		}
		if a, ok := s.advance(m, line); ok {
			out = append(out, a)
		}
	}
	return out
}

// advance matches the pattern that is due; a line that does not match begins anew.
func (s *matchState) advance(m *matcher, line string) (pipeline.Annotation, bool) {
	p := &m.Pattern[s.next]
	groups := p.re.FindStringSubmatch(line)
	if groups == nil {
		if s.next == 0 {
			return pipeline.Annotation{}, false
		}
		*s = matchState{}
		return s.advance(m, line)
	}
	if s.next == 0 {
		s.found = pipeline.Annotation{Level: m.Severity}
	}
	before := *s
	s.take(p, groups)
	if s.next < len(m.Pattern)-1 {
		s.next++
		return pipeline.Annotation{}, false
	}
	a := s.found
	if s.from != "" && a.File != "" && !path.IsAbs(a.File) {
		a.File = path.Join(path.Dir(s.from), a.File)
	}
	switch strings.ToLower(a.Level) {
	case "warning", "notice":
		a.Level = strings.ToLower(a.Level)
	case "info":
		a.Level = "notice"
	default:
		a.Level = "error"
	}
	if p.Loop {
		*s = before // the next line may be another problem of the same file
	} else {
		*s = matchState{}
	}
	return a, a.Message != ""
}

func (s *matchState) take(p *matcherPattern, groups []string) {
	text := func(i int, to *string) {
		if i > 0 && groups[i] != "" {
			*to = groups[i]
		}
	}
	number := func(i int, to *int) {
		if i > 0 {
			if n, err := strconv.Atoi(groups[i]); err == nil {
				*to = n
			}
		}
	}
	text(p.File, &s.found.File)
	text(p.FromPath, &s.from)
	text(p.Severity, &s.found.Level)
	text(p.Code, &s.found.Title)
	text(p.Message, &s.found.Message)
	number(p.Line, &s.found.Line)
	number(p.Column, &s.found.Col)
}

// ansi is compiled at the first coloured line, not at start-up.
var ansi = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]") })

func stripANSI(s string) string {
	if !strings.Contains(s, "\x1b") {
		return s
	}
	return ansi().ReplaceAllString(s, "")
}

// maxIndexed bounds how many files are looked at to find one by the end of its path.
const maxIndexed = 50_000

// fileIndex knows the files of a work folder by their base names.
type fileIndex struct{ byName map[string][]string }

// locate makes a path from the output of a tool relative to the work folder. Tools print paths relative to their own idea of
// where they are (go test prints bare file names); where there is no such file, and one file alone ends in that path, it
// is the one meant.
func (j *job) locate(dir, file string) string {
	if file == "" {
		return ""
	}
	file = filepath.ToSlash(file)
	root := j.ws.Machine().Workspace
	full := file
	if !path.IsAbs(full) {
		full = path.Join(dir, file)
	}
	host, visible := j.ws.HostPath(root)
	rel, inside := strings.CutPrefix(full, root+"/")
	if !visible {
		if inside {
			return rel
		}
		return file
	}
	index := j.fileIndex(host)
	candidates := index.byName[path.Base(file)]
	if inside && slices.Contains(candidates, rel) {
		return rel
	}
	var found []string
	for _, c := range candidates {
		if c == file || strings.HasSuffix(c, "/"+strings.TrimPrefix(path.Clean(file), "./")) {
			found = append(found, c)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	if inside {
		return rel
	}
	return file
}

// fileIndex lists the work folder once a job, when the first problem is found.
func (j *job) fileIndex(host string) *fileIndex {
	return j.values.Do(fileIndexKey{}, func() any {
		index := &fileIndex{byName: map[string][]string{}}
		seen := 0
		_ = filepath.WalkDir(host, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if d.IsDir() {
				if n := d.Name(); n == ".git" || n == "node_modules" {
					return filepath.SkipDir
				}
				return nil
			}
			if seen++; seen > maxIndexed {
				return filepath.SkipAll
			}
			rel, err := filepath.Rel(host, p)
			if err == nil {
				index.byName[d.Name()] = append(index.byName[d.Name()], filepath.ToSlash(rel))
			}
			return nil
		})
		return index
	}).(*fileIndex)
}

type fileIndexKey struct{}
