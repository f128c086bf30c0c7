package detect

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// YAML writes a gantry.yaml for what was found. schema is where editors find the schema.
func (f *Found) YAML(schema string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# yaml-language-server: $schema=%s\n", schema)
	b.WriteString(`#
# What is released, how it is started and watched, and where it goes. docs/gantry-yaml.md has all there is to say here;
# "gantry check" says what is wrong. Lines that end with "guessed" are worth a look.

`)
	fmt.Fprintf(&b, "name: %s\n\nservices:\n", scalar(f.Name))
	for i, s := range f.Services {
		if i > 0 {
			b.WriteByte('\n')
		}
		s.yaml(&b)
	}
	b.WriteString(`
# Candidates go through these in order. Without targets, instances run under the agent of the server's own machine.
environments:
  - name: production
    # strategy: canary           # 5, 25 and 50 percent for 2m each; or rolling, or blue-green
    # targets:
    #   - agents: [host-1, host-2]
    # gates:
    #   approvals: 1
    #   freezes:
    #     market-hours: {timezone: America/New_York, days: mon-fri, from: "09:30", to: "16:00"}
`)
	return []byte(b.String())
}

func (s *Service) yaml(b *strings.Builder) {
	line := func(indent int, key, value, what string) {
		text := strings.TrimRight(strings.Repeat(" ", indent)+key+": "+value, " ")
		if note := s.note(what); note != "" {
			text += "  # " + note
		}
		b.WriteString(text + "\n")
	}
	line(2, s.Name, "", program)
	if s.Path != "." {
		line(4, "path", scalar(s.Path), "")
	}
	if s.Pipeline != "" {
		line(4, "pipeline", scalar(s.Pipeline), "")
	}
	line(4, "artifact", scalar(s.Artifact), "artifact")
	switch {
	case s.Shell != "":
		line(4, "command", "{shell: "+quote(s.Shell)+"}", "command")
	default:
		args := make([]string, len(s.Command))
		for i, a := range s.Command {
			args[i] = scalar(a)
		}
		line(4, "command", "["+strings.Join(args, ", ")+"]", "command")
	}
	if len(s.Needs) > 0 {
		line(4, "needs", "["+strings.Join(s.Needs, ", ")+"]", "needs")
	}
	if s.Port == 0 {
		return
	}
	if s.FixedPort {
		b.WriteString("    # The agent listens here, and hands each instance a port of its own by PORT, which nothing in the code seems to read.\n")
	} else {
		b.WriteString("    # The agent listens here, and hands each instance a port of its own by PORT.\n")
	}
	b.WriteString("    ports:\n")
	line(6, s.Protocol, fmt.Sprintf(`":%d"`, s.Port), "port")
	switch {
	case s.Health != "":
		line(4, "health", s.Health, "health")
	default:
		b.WriteString("    # health: /healthz         # a path that answers 200 is better than the default: that the port takes connections\n")
	}
	if s.Metrics != "" {
		line(4, "metrics", s.Metrics, "metrics")
	}
}

// note says in a comment where something stands, or that it was guessed.
func (s *Service) note(what string) string {
	for i := len(s.Facts) - 1; i >= 0; i-- {
		f := s.Facts[i]
		if f.What != what {
			continue
		}
		switch {
		case f.Guess && f.Why != "":
			return f.Why + "; guessed"
		case f.Guess:
			return "guessed"
		}
		return f.place()
	}
	return ""
}

var (
	plainScalar = lazy.New(`^[A-Za-z0-9_./@%+-]+$`)
	notText     = lazy.New(`^([-+.]?[0-9].*|[-.+]+|[-+]?\.(inf|Inf|INF|nan|NaN|NAN)|~|null|Null|NULL|true|True|TRUE|false|False|FALSE|[yYnN]|yes|no|on|off|%.*|@.*)$`)
)

// scalar writes text so that it is read as text.
func scalar(text string) string {
	if plainScalar.MatchString(text) && !notText.MatchString(text) {
		return text
	}
	return quote(text)
}

// quote writes text in double quotes, which YAML reads as JSON does.
func quote(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(err) // text is always JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}
