package githubactions

import (
	"bytes"
	"fmt"
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
			// "Upload failures for job summaries do not affect the overall status of a step or a job."
			return []pipeline.Effect{failing(fmt.Sprintf("%s: the summary has %d bytes and is left out, because at most %d are kept: write less", fileSummary, len(content), maxSummary))}, nil
		}
		return []pipeline.Effect{pipeline.AddSummary{Markdown: string(content)}}, nil
	}
	err := readPairs(string(content), func(line int, name, value string) {
		switch env {
		case fileEnv:
			if blocked(name) {
				effects = append(effects, failing(fmt.Sprintf("%s, line %d: %s", fileEnv, line, blockedMessage)))
				return
			}
			if isDefaultVariable(name) {
				effects = append(effects, warning(fmt.Sprintf("%s, line %d: %s stays as it is: the default variables GITHUB_* and RUNNER_* cannot be overwritten", fileEnv, line, name)))
				return
			}
			effects = append(effects, pipeline.SetEnv{Name: name, Value: value})
		case fileOutput:
			effects = append(effects, pipeline.SetOutput{Name: name, Value: value})
		case fileState:
			effects = append(effects, pipeline.SaveState{Name: name, Value: value})
		}
	})
	return effects, err
}

// blockedMessage is said of a variable that a step must not set for the following ones. The step goes on, as at the vendor's.
const blockedMessage = "NODE_OPTIONS stays as it is: it cannot be set for following steps, because it would change what actions run; set it by env: on the step"

func blocked(name string) bool { return strings.EqualFold(name, "NODE_OPTIONS") }

// readPairs reads lines of name=value and name<<DELIMITER blocks.
func readPairs(text string, set func(line int, name, value string)) error {
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
		set(at, name, value)
	}
	return nil
}

func shortened(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
