package detect

import (
	"path"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

var (
	procLine = lazy.New(`^([A-Za-z0-9_-]+):\s*(\S.*?)\s*$`)
	// plainCommand needs no shell.
	plainCommand = lazy.New(`^[A-Za-z0-9_./@%+:,-]+( +[A-Za-z0-9_./@%+:,=-]+)*$`)
)

// procfiles reads process types: "web: ./bin/web". Where a program was found in the folder, web says how it is started.
func (s *scanner) procfiles() {
	for _, f := range s.files {
		if path.Base(f) != "Procfile" {
			continue
		}
		dir := path.Dir(f)
		for i, line := range strings.Split(string(s.read(f)), "\n") {
			m := procLine.FindStringSubmatch(strings.TrimRight(line, "\r"))
			if m == nil || strings.HasPrefix(line, "#") || odd(m[2]) {
				continue
			}
			s.process(dir, m[1], m[2], Fact{What: "command", Value: m[2], File: f, Line: i + 1})
		}
	}
}

// odd text would be hard to read in a comment.
func odd(text string) bool { return oddName.MatchString(text) || len(text) > 500 }

func (s *scanner) process(dir, kind, line string, f Fact) {
	if kind == "release" {
		f.Why = "it runs before a release: write it as a migration"
		s.found.Left = append(s.found.Left, f)
		return
	}
	var v *Service
	if at := s.found.at(dir); kind == "web" && len(at) == 1 {
		v = at[0]
	} else {
		name := s.found.Name
		if dir != "." {
			name = path.Base(dir)
		}
		if kind != "web" {
			name += "-" + kind
		}
		v = &Service{Name: Name(name, s.found.Name), Path: dir, Facts: []Fact{{What: program, Value: kind, File: f.File, Line: f.Line}}}
		if kind == "web" {
			v.Protocol = "http"
			v.text(s, s.code(dir, ".py", ".rb", ".js", ".ts", ".go"))
		}
		s.found.add(v)
	}
	v.Command, v.Shell = nil, ""
	if plainCommand.MatchString(line) && !strings.Contains(strings.Fields(line)[0], "=") {
		v.Command = strings.Fields(line)
	} else {
		v.Shell = line
		f.Why = "it has something for a shell in it"
	}
	if strings.Contains(line, "$PORT") {
		v.FixedPort = false
	}
	v.fact(f)
}
