package pipeline

// Dialect is what the runner asks of a format while its jobs run. It is stateless and safe for
// concurrent use.
type Dialect interface {
	// Name is the format's name: "github-actions", "gitlab-ci", "circleci", "azure-pipelines", "jenkinsfile".
	Name() string
	// Environ returns the variables that the format gives to every process of a step, such as CI and GITHUB_SHA.
	// Those of the file and of earlier steps come later and win, unless Owns says otherwise.
	Environ(*Scope) []EnvVar
	// Owns reports whether a variable of Environ is the format's alone: what files and steps set by that name has no effect
	// on processes.
	Owns(name string) bool
	// Shell returns how to run a script with the shell of that name; the empty name is the format's default. has reports
	// whether a program is on the job's PATH. An error names what is wrong with the name.
	Shell(name string, has func(program string) bool) (Interpreter, error)
	// NewProtocol returns what understands one process of a step. env are the variables of the process.
	NewProtocol(env func(name string) string) Protocol
}

// EnvVar is one environment variable.
type EnvVar struct{ Name, Value string }

// Interpreter is how to run the text of a script.
type Interpreter struct {
	// Argv is the command; "{0}" within an element stands for the script file's path.
	Argv []string
	// Ext is the script file's extension, such as ".sh"; may be empty.
	Ext string
	// Prefix and Suffix are put around the script's text.
	Prefix, Suffix string
}

// Protocol is how a process of a step talks back to the runner: by files whose paths it finds in its environment, and by
// commands in its output. A Protocol serves one process, is used by one goroutine at a time, and may keep state
// (such as "commands are stopped").
type Protocol interface {
	// Files are the files to create, empty, before the process starts.
	Files() []CommandFile
	// ReadFile interprets a file after the process has ended. An error fails the step; the effects before it count.
	ReadFile(env string, content []byte) ([]Effect, error)
	// Line interprets one line of output without its line end. isCommand false: it is plain text.
	// The line is only valid during the call.
	Line(line []byte) (effects []Effect, isCommand bool)
}

// CommandFile is a file for a process to write to.
type CommandFile struct {
	// Env is the variable that holds the file's path.
	Env string
}

// Effect is something that a process asked of the runner. It is one of the types below.
type Effect interface{ effect() }

type (
	// SetEnv sets a variable for the following steps.
	SetEnv struct{ Name, Value string }
	// AddPath puts a folder in front of PATH for the following steps.
	AddPath struct{ Dir string }
	// SetOutput sets an output of the step.
	SetOutput struct{ Name, Value string }
	// SaveState keeps a value for the action's post step.
	SaveState struct{ Name, Value string }
	// AddMask hides a text in all further output.
	AddMask struct{ Text string }
	// BeginGroup and EndGroup fold the lines between them.
	BeginGroup struct{ Title string }
	// EndGroup ends the innermost group.
	EndGroup struct{}
	// Debug is a line that is shown only where debug output is asked for.
	Debug struct{ Text string }
	// AddSummary adds Markdown to the job's summary.
	AddSummary struct{ Markdown string }
	// AddMatcher has the runner watch the output by the problem matchers of a JSON file; RemoveMatcher ends that.
	AddMatcher struct{ File string }
	// RemoveMatcher names the owner of the matchers to remove.
	RemoveMatcher struct{ Owner string }
	// Refuse shows an error and fails the step.
	Refuse struct{ Message string }
	// Say is a line of text to show in the command's place.
	Say struct{ Text string }
	// Annotate shows a message at a place in a file.
	Annotate struct{ Annotation }
)

// Annotation is a message of a step, at a place where it names one.
type Annotation struct {
	// Level is "error", "warning" or "notice".
	Level   string `json:"level"`
	Message string `json:"message"`
	Title   string `json:"title,omitempty"`
	// File is relative to the work folder where that is known.
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	EndLine int    `json:"end_line,omitempty"`
	Col     int    `json:"column,omitempty"`
	EndCol  int    `json:"end_column,omitempty"`
}

func (SetEnv) effect()        {}
func (AddPath) effect()       {}
func (SetOutput) effect()     {}
func (SaveState) effect()     {}
func (AddMask) effect()       {}
func (BeginGroup) effect()    {}
func (EndGroup) effect()      {}
func (Debug) effect()         {}
func (AddSummary) effect()    {}
func (AddMatcher) effect()    {}
func (RemoveMatcher) effect() {}
func (Refuse) effect()        {}
func (Say) effect()           {}
func (Annotate) effect()      {}
