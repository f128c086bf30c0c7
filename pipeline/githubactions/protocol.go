package githubactions

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// The command files of a step.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#environment-files
const (
	fileEnv     = "GITHUB_ENV"
	filePath    = "GITHUB_PATH"
	fileOutput  = "GITHUB_OUTPUT"
	fileState   = "GITHUB_STATE"
	fileSummary = "GITHUB_STEP_SUMMARY"
)

var commandFiles = []pipeline.CommandFile{{Env: fileEnv}, {Env: filePath}, {Env: fileOutput}, {Env: fileState}, {Env: fileSummary}}

// maxSummary is the limit of a step's summary, in bytes.
const maxSummary = 1 << 20

// unsecureVariable allows the commands set-env and add-path, which the vendor has switched off because whatever a build
// prints could use them.
const unsecureVariable = "ACTIONS_ALLOW_UNSECURE_COMMANDS"

// protocol is how a process of a step talks back. It implements [pipeline.Protocol].
type protocol struct {
	// stop is the token that starts commands again; empty while they are on.
	stop string
	// echo has the commands themselves shown.
	echo bool
	// unsecure allows set-env and add-path.
	unsecure bool
	// deprecated are the old commands that were warned of already.
	deprecated map[string]bool
}

func newProtocol(env func(string) string) *protocol {
	return &protocol{unsecure: strings.EqualFold(env(unsecureVariable), "true")}
}

// Files implements [pipeline.Protocol].
func (p *protocol) Files() []pipeline.CommandFile { return commandFiles }

// ReadFile implements [pipeline.Protocol].
func (p *protocol) ReadFile(env string, content []byte) ([]pipeline.Effect, error) {
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	var effects []pipeline.Effect
	switch env {
	case filePath:
		for line := range strings.Lines(string(content)) {
			if dir := strings.TrimRight(line, "\r\n"); dir != "" {
				effects = append(effects, pipeline.AddPath{Dir: dir})
			}
		}
		return effects, nil
	case fileSummary:
		if len(content) > maxSummary {
			return nil, fmt.Errorf("the summary has %d bytes, and at most %d are kept: write less", len(content), maxSummary)
		}
		return []pipeline.Effect{pipeline.AddSummary{Markdown: string(content)}}, nil
	}
	err := readPairs(string(content), func(line int, name, value string) error {
		switch env {
		case fileEnv:
			if err := settable(name); err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
			if isDefaultVariable(name) {
				effects = append(effects, warning(fmt.Sprintf("%s, line %d: %s stays as it is: the default variables GITHUB_* and RUNNER_* cannot be overwritten", fileEnv, line, name)))
				return nil
			}
			effects = append(effects, pipeline.SetEnv{Name: name, Value: value})
		case fileOutput:
			effects = append(effects, pipeline.SetOutput{Name: name, Value: value})
		case fileState:
			effects = append(effects, pipeline.SaveState{Name: name, Value: value})
		}
		return nil
	})
	return effects, err
}

// settable refuses the variables that a step must not set for the following ones.
func settable(name string) error {
	if strings.EqualFold(name, "NODE_OPTIONS") {
		return errors.New("NODE_OPTIONS cannot be set for following steps, because it would change what actions run; set it by env: on the step")
	}
	return nil
}

// readPairs reads lines of name=value and name<<DELIMITER blocks.
func readPairs(text string, set func(line int, name, value string) error) error {
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], "\r\n")
		if line == "" {
			continue
		}
		at := i + 1
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		if equals < 0 && heredoc < 0 {
			return fmt.Errorf("line %d: invalid format '%s': expected name=value or name<<DELIMITER", at, shortened(line))
		}
		var name, value string
		if heredoc < 0 || equals >= 0 && equals < heredoc {
			name, value = line[:equals], line[equals+1:]
		} else {
			delimiter := line[heredoc+2:]
			name = line[:heredoc]
			if name == "" || delimiter == "" {
				return fmt.Errorf("line %d: invalid format '%s': a name and a delimiter must not be empty", at, shortened(line))
			}
			var b strings.Builder
			for i++; ; i++ {
				if i >= len(lines) || i == len(lines)-1 && lines[i] == "" {
					return fmt.Errorf("line %d: matching delimiter not found '%s'", at, shortened(delimiter))
				}
				if strings.TrimRight(lines[i], "\r\n") == delimiter {
					break
				}
				b.WriteString(lines[i])
			}
			// The line end in front of the delimiter belongs to it.
			value = strings.TrimSuffix(strings.TrimSuffix(b.String(), "\n"), "\r")
		}
		if name == "" {
			return fmt.Errorf("line %d: invalid format '%s': the name is empty", at, shortened(line))
		}
		if err := set(at, name, value); err != nil {
			return err
		}
	}
	return nil
}

func shortened(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

var (
	commandMark    = []byte("::")
	oldCommandMark = []byte("##[")
)

// Line implements [pipeline.Protocol]. Plain lines, which nearly all are, cost two looks at their first bytes.
func (p *protocol) Line(line []byte) ([]pipeline.Effect, bool) {
	trimmed := line
	for len(trimmed) > 0 && (trimmed[0] == ' ' || trimmed[0] == '\t') {
		trimmed = trimmed[1:]
	}
	switch {
	case bytes.HasPrefix(trimmed, commandMark):
		return p.command(string(trimmed))
	case bytes.Contains(line, oldCommandMark):
		return p.oldCommand(string(trimmed))
	}
	return nil, false
}

// command interprets "::name key=value,key=value::message".
func (p *protocol) command(line string) ([]pipeline.Effect, bool) {
	head, message, ok := strings.Cut(line[2:], "::")
	if !ok || head == "" {
		return nil, false
	}
	name, rest, _ := strings.Cut(head, " ")
	properties := map[string]string{}
	for pair := range strings.SplitSeq(rest, ",") {
		if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			properties[strings.ToLower(strings.TrimSpace(k))] = unescapeProperty(v)
		}
	}
	return p.run(line, name, properties, unescapeMessage(message))
}

// oldCommand interprets "##[name key=value;key=value]message", which may stand behind other text.
func (p *protocol) oldCommand(line string) ([]pipeline.Effect, bool) {
	at := strings.Index(line, "##[")
	if at < 0 {
		return nil, false
	}
	head, message, ok := strings.Cut(line[at+3:], "]")
	if !ok || head == "" {
		return nil, false
	}
	name, rest, _ := strings.Cut(head, " ")
	properties := map[string]string{}
	for pair := range strings.SplitSeq(rest, ";") {
		if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			properties[strings.ToLower(k)] = unescapeProperty(v)
		}
	}
	return p.run(line, name, properties, unescapeMessage(message))
}

var messageEscapes = strings.NewReplacer("%0D", "\r", "%0d", "\r", "%0A", "\n", "%0a", "\n", "%25", "%")
var propertyEscapes = strings.NewReplacer("%0D", "\r", "%0d", "\r", "%0A", "\n", "%0a", "\n", "%3A", ":", "%3a", ":", "%2C", ",", "%2c", ",", "%25", "%")

func unescapeMessage(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return messageEscapes.Replace(s)
}

func unescapeProperty(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	return propertyEscapes.Replace(s)
}

// run makes effects of a command. Names that are no commands leave the line as it is.
func (p *protocol) run(line, name string, properties map[string]string, message string) ([]pipeline.Effect, bool) {
	name = strings.ToLower(name)
	if p.stop != "" {
		if name == strings.ToLower(p.stop) {
			p.stop = ""
			return nil, true
		}
		return nil, false
	}
	effects, ok := p.effects(name, properties, message)
	if ok && p.echo && name != "add-mask" && name != "echo" {
		effects = append([]pipeline.Effect{pipeline.Say{Text: line}}, effects...)
	}
	return effects, ok
}

func (p *protocol) effects(name string, properties map[string]string, message string) ([]pipeline.Effect, bool) {
	one := func(e pipeline.Effect) ([]pipeline.Effect, bool) { return []pipeline.Effect{e}, true }
	switch name {
	case "debug":
		return one(pipeline.Debug{Text: message})
	case "notice", "warning", "error":
		return one(annotation(name, properties, message))
	case "group":
		return one(pipeline.BeginGroup{Title: message})
	case "endgroup":
		return one(pipeline.EndGroup{})
	case "add-mask":
		if strings.TrimSpace(message) == "" {
			return one(warning("the command add-mask needs a text to hide"))
		}
		return one(pipeline.AddMask{Text: message})
	case "stop-commands":
		if message == "" || isCommandName(message) {
			return one(pipeline.Annotate{Annotation: pipeline.Annotation{Level: "error", Message: "the command stop-commands needs a token of its own, one that is no command"}})
		}
		p.stop = message
		return nil, true
	case "echo":
		switch strings.ToLower(strings.TrimSpace(message)) {
		case "on":
			p.echo = true
		case "off":
			p.echo = false
		default:
			return one(warning("the command echo takes on or off"))
		}
		return nil, true
	case "add-matcher":
		return one(pipeline.AddMatcher{File: strings.TrimSpace(message)})
	case "remove-matcher":
		owner := properties["owner"]
		if owner == "" {
			return one(warning("the command remove-matcher needs owner="))
		}
		return one(pipeline.RemoveMatcher{Owner: owner})
	case "set-output", "save-state":
		if properties["name"] == "" {
			return one(warning(fmt.Sprintf("the command %s needs name=", name)))
		}
		out := p.deprecation(name)
		if name == "set-output" {
			return append(out, pipeline.SetOutput{Name: properties["name"], Value: message}), true
		}
		return append(out, pipeline.SaveState{Name: properties["name"], Value: message}), true
	case "set-env", "add-path":
		if !p.unsecure {
			file := fileEnv
			if name == "add-path" {
				file = filePath
			}
			return one(pipeline.Refuse{Message: fmt.Sprintf("the command %s is switched off, because whatever a build prints could use it: write to $%s instead (or set %s to true)", name, file, unsecureVariable)})
		}
		if name == "add-path" {
			return one(pipeline.AddPath{Dir: message})
		}
		if properties["name"] == "" {
			return one(warning("the command set-env needs name="))
		}
		if err := settable(properties["name"]); err != nil {
			return one(pipeline.Refuse{Message: err.Error()})
		}
		return one(pipeline.SetEnv{Name: properties["name"], Value: message})
	}
	return nil, false
}

func isCommandName(s string) bool {
	switch strings.ToLower(s) {
	case "debug", "notice", "warning", "error", "group", "endgroup", "add-mask", "stop-commands", "echo", "add-matcher", "remove-matcher",
		"set-output", "save-state", "set-env", "add-path", "pause-logging":
		return true
	}
	return false
}

func warning(message string) pipeline.Effect {
	return pipeline.Annotate{Annotation: pipeline.Annotation{Level: "warning", Message: message}}
}

// deprecation warns of an old command, once a process.
func (p *protocol) deprecation(name string) []pipeline.Effect {
	if p.deprecated[name] {
		return nil
	}
	if p.deprecated == nil {
		p.deprecated = map[string]bool{}
	}
	p.deprecated[name] = true
	file := fileOutput
	if name == "save-state" {
		file = fileState
	}
	return []pipeline.Effect{warning(fmt.Sprintf("the command %s is deprecated: write name=value to $%s instead", name, file))}
}

func annotation(level string, properties map[string]string, message string) pipeline.Effect {
	number := func(keys ...string) int {
		for _, k := range keys {
			if n, err := strconv.Atoi(strings.TrimSpace(properties[k])); err == nil && n > 0 {
				return n
			}
		}
		return 0
	}
	return pipeline.Annotate{Annotation: pipeline.Annotation{
		Level: level, Message: message, Title: properties["title"], File: properties["file"],
		Line: number("line"), EndLine: number("endline"), Col: number("col"), EndCol: number("endcolumn"),
	}}
}
