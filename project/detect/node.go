package detect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"path"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

var (
	listenCall  = lazy.New(`\blisten\(\s*\{?\s*(?:port:\s*)?([0-9]{2,5})\b`)
	defaultPort = lazy.New(`\bPORT['"]?\]?\)?\s*(?:\|\||\?\?|,|or)\s*['"]?([0-9]{2,5})\b`)
	quotedPath  = lazy.New("[\"'`](/[a-z_/-]+)[\"'`]")
	readsPort   = lazy.New(`\bPORT\b`)
)

// node finds package.json files with a start script.
func (s *scanner) node() {
	for _, f := range s.files {
		if path.Base(f) != "package.json" {
			continue
		}
		var p struct {
			Name    string            `json:"name"`
			Scripts map[string]string `json:"scripts"`
		}
		src := s.read(f)
		if json.Unmarshal(src, &p) != nil || p.Scripts["start"] == "" {
			continue
		}
		dir := path.Dir(f)
		name := p.Name[strings.LastIndexByte(p.Name, '/')+1:]
		if name == "" && dir != "." {
			name = path.Base(dir)
		}
		v := &Service{Name: Name(name, s.found.Name), Path: dir, Command: []string{"npm", "start"}, Protocol: "http"}
		v.fact(Fact{What: program, Value: "npm start", File: f, Line: lineOf(src, `"start"`)})
		v.fact(Fact{What: "command", Value: "npm start", File: f, Line: lineOf(src, `"start"`)})
		v.text(s, s.code(dir, ".js", ".mjs", ".cjs", ".ts", ".mts"))
		s.found.add(v)
	}
}

// lineOf returns the line that a text stands on, or 0.
func lineOf(src []byte, text string) int {
	i := bytes.Index(src, []byte(text))
	if i < 0 {
		return 0
	}
	return 1 + bytes.Count(src[:i], []byte{'\n'})
}

// text takes the port, the health and the metrics path from code of any language.
func (v *Service) text(s *scanner, files []string) {
	var texts []literal
	for _, f := range files {
		lines := bufio.NewScanner(bytes.NewReader(s.read(f)))
		lines.Buffer(nil, maxFile+1)
		for n := 1; lines.Scan(); n++ {
			line := lines.Text()
			if len(line) > 2_000 {
				continue // made by a program
			}
			for _, m := range quotedPath.FindAllStringSubmatch(line) {
				texts = append(texts, literal{m[1], f, n})
			}
			if readsPort.MatchString(line) {
				texts = append(texts, literal{"PORT", f, n})
			}
			for _, re := range []*lazy.Regexp{listenCall, defaultPort} {
				if m := re.FindStringSubmatch(line); m != nil {
					if n2, err := strconv.Atoi(m[1]); err == nil && n2 >= 80 && n2 <= 65535 {
						texts = append(texts, literal{":" + m[1], f, n})
					}
				}
			}
		}
	}
	v.literals(texts)
}
