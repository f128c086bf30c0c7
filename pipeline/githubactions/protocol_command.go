package githubactions

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// Workflow commands: lines of output that ask for something.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands

var (
	commandMark    = []byte("::")
	oldCommandMark = []byte("##[")
)

// workflowCommand is a command taken apart. Names and keys of properties are in lower case.
type workflowCommand struct {
	name, message string
	properties    map[string]string
}

// Line implements [pipeline.Protocol]. Plain lines, which nearly all are, cost a look at their start and a search.
func (p *protocol) Line(line []byte) ([]pipeline.Effect, bool) {
	trimmed := line
	for len(trimmed) > 0 && (trimmed[0] == ' ' || trimmed[0] == '\t') {
		trimmed = trimmed[1:]
	}
	if bytes.HasPrefix(trimmed, commandMark) {
		text := string(trimmed)
		if c, ok := parseCommand(text); ok && p.knows(c.name) {
			return p.run(text, c)
		}
	}
	if bytes.Contains(trimmed, oldCommandMark) {
		text := string(trimmed)
		if c, ok := parseOldCommand(text); ok && p.knows(c.name) {
			return p.run(text, c)
		}
	}
	return nil, false
}

// parseCommand reads "::name key=value,key=value::message".
func parseCommand(line string) (workflowCommand, bool) {
	head, message, ok := strings.Cut(strings.TrimPrefix(line, "::"), "::")
	if !ok || head == "" {
		return workflowCommand{}, false
	}
	name, rest, _ := strings.Cut(head, " ")
	return workflowCommand{strings.ToLower(name), messageEscapes.Replace(message), parseProperties(rest, ",", propertyEscapes)}, true
}

// parseOldCommand reads "##[name key=value;key=value]message", which may stand behind other text.
func parseOldCommand(line string) (workflowCommand, bool) {
	_, command, ok := strings.Cut(line, "##[")
	if !ok {
		return workflowCommand{}, false
	}
	head, message, ok := strings.Cut(command, "]")
	if !ok || head == "" {
		return workflowCommand{}, false
	}
	name, rest, _ := strings.Cut(head, " ")
	return workflowCommand{strings.ToLower(name), oldEscapes.Replace(message), parseProperties(rest, ";", oldEscapes)}, true
}

func parseProperties(s, separator string, escapes *strings.Replacer) map[string]string {
	if s == "" {
		return nil
	}
	out := map[string]string{}
	for pair := range strings.SplitSeq(s, separator) {
		if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			out[strings.ToLower(strings.TrimSpace(k))] = escapes.Replace(v)
		}
	}
	return out
}

// What has a meaning within a command is written by its percent code; each form of command has its own list.
var (
	messageEscapes  = strings.NewReplacer("%0D", "\r", "%0d", "\r", "%0A", "\n", "%0a", "\n", "%25", "%")
	propertyEscapes = strings.NewReplacer("%0D", "\r", "%0d", "\r", "%0A", "\n", "%0a", "\n", "%3A", ":", "%3a", ":", "%2C", ",", "%2c", ",", "%25", "%")
	oldEscapes      = strings.NewReplacer("%0D", "\r", "%0d", "\r", "%0A", "\n", "%0a", "\n", "%3B", ";", "%3b", ";", "%5D", "]", "%5d", "]", "%25", "%")
)

// knows reports whether a name means something now: while commands are stopped, only the token does.
func (p *protocol) knows(name string) bool {
	if p.stop != "" {
		return strings.EqualFold(name, p.stop)
	}
	return isCommandName(name)
}

func isCommandName(s string) bool {
	switch strings.ToLower(s) {
	case "debug", "notice", "warning", "error", "group", "endgroup", "add-mask", "stop-commands", "echo", "add-matcher", "remove-matcher",
		"set-output", "save-state", "set-env", "add-path":
		return true
	}
	return false
}

// run makes effects of a command that the protocol knows.
func (p *protocol) run(line string, c workflowCommand) ([]pipeline.Effect, bool) {
	if p.stop != "" {
		p.stop = ""
		return []pipeline.Effect{pipeline.Say{Text: line}}, true
	}
	var echo []pipeline.Effect
	if p.echo {
		switch c.name {
		case "debug", "notice", "warning", "error", "stop-commands":
			// These are seen anyway.
		case "add-mask":
			echo = []pipeline.Effect{pipeline.Say{Text: "::add-mask::***"}}
		default:
			echo = []pipeline.Effect{pipeline.Say{Text: line}}
		}
	}
	return append(echo, p.effects(line, c)...), true
}

// effects are those of a command. What is wrong with one fails the step where the vendor does so, and is warned of otherwise.
func (p *protocol) effects(line string, c workflowCommand) []pipeline.Effect {
	one := func(e pipeline.Effect) []pipeline.Effect { return []pipeline.Effect{e} }
	refuse := func(format string, args ...any) []pipeline.Effect {
		return one(pipeline.Refuse{Message: fmt.Sprintf("the command "+c.name+" "+format, args...)})
	}
	warn := func(text string) []pipeline.Effect { return one(warning("the command " + c.name + " " + text)) }
	switch c.name {
	case "debug":
		return one(pipeline.Debug{Text: c.message})
	case "notice", "warning", "error":
		return one(pipeline.Annotate{Annotation: annotation(c)})
	case "group":
		return one(pipeline.BeginGroup{Title: c.message})
	case "endgroup":
		return one(pipeline.EndGroup{})
	case "add-mask":
		if strings.TrimSpace(c.message) == "" {
			return warn("needs a text to hide")
		}
		return one(pipeline.AddMask{Text: c.message})
	case "stop-commands":
		if c.message == "" || isCommandName(c.message) || strings.EqualFold(c.message, "pause-logging") {
			return refuse("needs a token of its own, one that is no command")
		}
		p.stop = c.message
		return one(pipeline.Say{Text: line})
	case "echo":
		switch strings.ToLower(strings.TrimSpace(c.message)) {
		case "on":
			p.echo = true
		case "off":
			p.echo = false
		default:
			return refuse("takes on or off, not %q", shortened(c.message))
		}
		return nil
	case "add-matcher":
		file := strings.TrimSpace(c.message)
		if file == "" {
			return warn("needs the path of a file")
		}
		return one(pipeline.AddMatcher{File: file})
	case "remove-matcher":
		if c.properties["owner"] == "" {
			return warn("needs owner=")
		}
		return one(pipeline.RemoveMatcher{Owner: c.properties["owner"]})
	case "set-env", "add-path":
		if !p.unsecure {
			file := fileEnv
			if c.name == "add-path" {
				file = filePath
			}
			return refuse("is switched off, because whatever a build prints could use it: write to $%s instead (or set %s to true)", file, unsecureVariable)
		}
	}
	if c.name == "add-path" {
		if c.message == "" {
			return refuse("needs a folder")
		}
		return one(pipeline.AddPath{Dir: c.message})
	}
	name := c.properties["name"]
	if name == "" {
		return refuse("needs name=")
	}
	switch {
	case c.name == "set-output":
		return append(p.deprecation(c.name, fileOutput), pipeline.SetOutput{Name: name, Value: c.message})
	case c.name == "save-state":
		return append(p.deprecation(c.name, fileState), pipeline.SaveState{Name: name, Value: c.message})
	case blocked(name):
		return one(failing(blockedMessage))
	}
	return one(pipeline.SetEnv{Name: name, Value: c.message})
}

// deprecation warns of an old command, once a process.
func (p *protocol) deprecation(name, file string) []pipeline.Effect {
	if p.deprecated[name] {
		return nil
	}
	if p.deprecated == nil {
		p.deprecated = map[string]bool{}
	}
	p.deprecated[name] = true
	return []pipeline.Effect{warning(fmt.Sprintf("the command %s is deprecated: write name=value to $%s instead", name, file))}
}

func warning(message string) pipeline.Effect {
	return pipeline.Annotate{Annotation: pipeline.Annotation{Level: "warning", Message: message}}
}

// failing is an error that is shown without failing the step.
func failing(message string) pipeline.Effect {
	return pipeline.Annotate{Annotation: pipeline.Annotation{Level: "error", Message: message}}
}

// annotation reads a message's place. Numbers that contradict each other are dropped as the vendor does, so that an annotation
// never has an end before its start, nor columns without a line or over several lines.
func annotation(c workflowCommand) pipeline.Annotation {
	number := func(key string) int {
		n, err := strconv.Atoi(strings.TrimSpace(c.properties[key]))
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	a := pipeline.Annotation{
		Level: c.name, Message: c.message, Title: c.properties["title"], File: c.properties["file"],
		Line: number("line"), EndLine: number("endline"), Col: number("col"), EndCol: number("endcolumn"),
	}
	if a.Line == 0 {
		a.Line = a.EndLine
	}
	if a.Col == 0 {
		a.Col = a.EndCol
	}
	if a.Line == 0 || a.EndLine != 0 && a.EndLine != a.Line || a.EndCol != 0 && a.EndCol < a.Col {
		a.Col, a.EndCol = 0, 0
	}
	if a.EndLine != 0 && a.EndLine < a.Line {
		a.Line, a.EndLine = 0, 0
	}
	return a
}
