package detect

import (
	"encoding/json"
	"path"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

var dockerfile = lazy.New(`^(Dockerfile|Containerfile)$`)

// dockerfiles reads EXPOSE, ENTRYPOINT and CMD. They say more about a program that was found in the folder, or that there is one.
func (s *scanner) dockerfiles() {
	for _, f := range s.named(dockerfile) {
		dir := path.Dir(f)
		d := readDockerfile(string(s.read(f)))
		at := s.found.at(dir)
		if len(at) > 1 {
			continue // nobody knows which is meant
		}
		var v *Service
		if len(at) == 1 {
			v = at[0]
		} else {
			if len(d.command) == 0 && d.port == 0 {
				continue // an image to build with
			}
			name := s.found.Name
			if dir != "." {
				name = path.Base(dir)
			}
			v = &Service{Name: Name(name, s.found.Name), Path: dir, Protocol: "http", Facts: []Fact{{What: program, Value: f, File: f}}}
			v.text(s, s.code(dir, ".py", ".rb", ".js", ".ts", ".java", ".rs"))
			v.start(d, f)
			s.found.add(v)
		}
		if d.port > 0 && v.Port > 0 && v.guessed("port") {
			v.Port = d.port
			v.fact(Fact{What: "port", Value: number(d.port), File: f, Line: d.portLine})
		}
	}
}

// start takes the command of an image. What it has at a place of its own is in the candidate's folder.
func (v *Service) start(d image, f string) {
	v.Command = []string{"./" + v.Name}
	fact := Fact{What: "command", Value: v.Command[0], File: f, Guess: true, Why: "the image does not say it as a list"}
	if len(d.command) > 0 {
		v.Command = d.command
		fact.Line, fact.Guess, fact.Why = d.commandLine, false, ""
		if strings.HasPrefix(v.Command[0], "/") {
			v.Command[0] = "./" + path.Base(v.Command[0])
			fact.Guess, fact.Why = true, "the image has it at a place of its own"
		}
		fact.Value = strings.Join(v.Command, " ")
	}
	v.fact(fact)
}

// guessed reports whether the last that is known about something is a guess.
func (v *Service) guessed(what string) bool {
	for i := len(v.Facts) - 1; i >= 0; i-- {
		if v.Facts[i].What == what {
			return v.Facts[i].Guess
		}
	}
	return true
}

// image is what a Dockerfile says about its last stage.
type image struct {
	port, portLine int
	command        []string
	commandLine    int
}

var instruction = lazy.New(`(?i)^\s*(FROM|EXPOSE|ENTRYPOINT|CMD)\s+(.*?)\s*$`)

func readDockerfile(text string) image {
	var out image
	var entry, cmd []string
	for i, line := range strings.Split(text, "\n") {
		m := instruction.FindStringSubmatch(strings.TrimRight(line, "\r"))
		if m == nil || odd(m[2]) {
			continue
		}
		switch strings.ToUpper(m[1]) {
		case "FROM":
			out, entry, cmd = image{}, nil, nil
		case "EXPOSE":
			port, _, _ := strings.Cut(strings.Fields(m[2] + " ")[0], "/")
			if n, err := strconv.Atoi(port); err == nil && n > 0 && n <= 65535 && out.port == 0 {
				out.port, out.portLine = n, i+1
			}
		case "ENTRYPOINT":
			entry, out.commandLine = list(m[2]), i+1
		case "CMD":
			cmd = list(m[2])
			if out.commandLine == 0 {
				out.commandLine = i + 1
			}
		}
	}
	for _, arg := range append(entry, cmd...) {
		if arg == "" {
			return out // no argument of ours
		}
		out.command = append(out.command, arg)
	}
	return out
}

// list reads the form of an instruction that needs no shell.
func list(text string) []string {
	var out []string
	if json.Unmarshal([]byte(text), &out) != nil {
		return nil
	}
	return out
}
