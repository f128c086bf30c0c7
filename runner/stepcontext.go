package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

var _ StepContext = (*step)(nil)

// maxCommandFile bounds what is read of a command file.
const maxCommandFile = 64 << 20

// evalEnv evaluates the step's own variables. Each sees the frame's environment, not its siblings.
func (st *step) evalEnv(scope *pipeline.Scope) error {
	o, err := st.def.Env.Object(scope)
	if err != nil {
		return err
	}
	for _, k := range o.Keys() {
		v, _ := o.Get(k)
		st.own.env.Set(k, pipeline.Text(v))
	}
	return nil
}

// Job implements [StepContext].
func (st *step) Job() JobContext { return st.frame.job }

// Step implements [StepContext].
func (st *step) Step() *pipeline.Step { return st.def }

// Scope implements [StepContext].
func (st *step) Scope() *pipeline.Scope {
	s := st.frame.scope(st.def)
	if st.own.env.Len() > 0 {
		env := st.frame.baseEnv().Clone()
		env.Merge(st.own.env)
		s.Env = env
	}
	if st.action != nil {
		s.Action = st.action
	}
	if st.inputs != nil {
		s.Inputs = st.inputs
	}
	return s
}

// WithAction implements [StepContext].
func (st *step) WithAction(action *pipeline.ActionScope, inputs pipeline.Object) StepContext {
	c := *st
	c.action, c.inputs = action, inputs
	return &c
}

// Environ implements [StepContext]. Later layers win: the machine's, the format's, the file's and earlier steps', extra.
func (st *step) Environ(extra []pipeline.EnvVar) []pipeline.EnvVar {
	j, scope := st.frame.job, st.Scope()
	var out []pipeline.EnvVar
	at := map[string]int{}
	set := func(name, value string) {
		if i, ok := at[name]; ok {
			out[i].Value = value
			return
		}
		at[name] = len(out)
		out = append(out, pipeline.EnvVar{Name: name, Value: value})
	}
	for _, v := range j.ws.Environ() {
		set(v.Name, v.Value)
	}
	for _, v := range j.p.Dialect.Environ(scope) {
		set(v.Name, v.Value)
	}
	if scope.Env != nil {
		for _, k := range scope.Env.Keys() {
			if _, there := at[k]; there && j.p.Dialect.Owns(k) {
				continue
			}
			v, _ := scope.Env.Get(k)
			set(k, pipeline.Text(v))
		}
	}
	if prefix := j.pathPrefix(); len(prefix) > 0 {
		list := strings.Join(prefix, ":")
		if i, ok := at["PATH"]; ok && out[i].Value != "" {
			list += ":" + out[i].Value
		}
		set("PATH", list)
	}
	for _, v := range extra {
		set(v.Name, v.Value)
	}
	return out
}

// Exec implements [StepContext].
func (st *step) Exec(ctx context.Context, argv []string, dir string, extra []pipeline.EnvVar) (Exit, error) {
	return st.exec(ctx, argv, dir, st.Environ(extra))
}

// commandFiles makes the files by which a process talks back, and names them in env.
func (st *step) commandFiles(ctx context.Context, p pipeline.Protocol, env []pipeline.EnvVar) ([]pipeline.EnvVar, map[string]string, error) {
	j := st.frame.job
	files := map[string]string{}
	stem := path.Join(j.control(), unique("step"))
	for _, f := range p.Files() {
		file := stem + "-" + strings.ToLower(f.Env)
		if err := j.ws.WriteFile(ctx, file, nil, 0o666); err != nil {
			return nil, nil, fmt.Errorf("make the file for %s: %w", f.Env, err)
		}
		files[f.Env] = file
		env = append(env, pipeline.EnvVar{Name: f.Env, Value: file})
	}
	return env, files, nil
}

// readCommands applies what a process has written to its files.
func (st *step) readCommands(ctx context.Context, p pipeline.Protocol, files map[string]string) {
	for _, f := range p.Files() {
		content, err := st.frame.job.ws.ReadFile(ctx, files[f.Env], maxCommandFile)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(content) == 0 {
			continue
		}
		var effects []pipeline.Effect
		if err == nil {
			effects, err = p.ReadFile(f.Env, content)
		}
		for _, e := range effects {
			st.Apply(e)
		}
		if err != nil {
			st.failBy(fmt.Sprintf("%s: %v", f.Env, err))
		}
	}
}

// exec runs a process of the step in env.
func (st *step) exec(ctx context.Context, argv []string, dir string, env []pipeline.EnvVar) (Exit, error) {
	j := st.frame.job
	p := j.p.Dialect.NewProtocol(func(name string) string { return lookupEnv(env, name) })
	env, files, err := st.commandFiles(ctx, p, env)
	if err != nil {
		return Exit{}, err
	}
	cmd := Command{Argv: argv, Dir: j.dir(dir), Env: env, Interrupt: j.Interrupt, Terminate: j.Terminate, Kill: j.Kill}
	out := newPump(st, p, cmd.Dir)
	exit, err := j.ws.Exec(ctx, cmd, Stdio{Out: out})
	out.flush()
	if err != nil {
		return exit, err
	}
	st.ended(cmd, exit)
	st.readCommands(context.WithoutCancel(ctx), p, files)
	return exit, nil
}

func (st *step) ended(cmd Command, exit Exit) {
	st.own.mu.Lock()
	defer st.own.mu.Unlock()
	code := exit.Code
	st.own.exit, st.own.last = &code, cmd
	if exit.Code != 0 && st.own.status != pipeline.Failure {
		st.own.why = exit.Reason
		if st.own.why == "" {
			st.own.why = fmt.Sprintf("exit code %d", exit.Code)
		}
	}
}

// control is the folder for scripts and command files.
func (j *job) control() string {
	m := j.ws.Machine()
	return cmp.Or(m.Control, m.Temp)
}

// dir returns a folder given relative to the work folder, or that itself.
func (j *job) dir(dir string) string {
	root := j.ws.Machine().Workspace
	if dir == "" {
		return root
	}
	if path.IsAbs(dir) {
		return path.Clean(dir)
	}
	return path.Join(root, dir)
}

// Container implements [StepContext].
func (st *step) Container(ctx context.Context, c ContainerRun) (Exit, error) {
	j := st.frame.job
	if j.Engine == nil {
		return Exit{}, errors.New("this run has no container engine")
	}
	engine, err := j.Engine()
	if err != nil {
		return Exit{}, err
	}
	env := st.Environ(c.Env)
	p := j.p.Dialect.NewProtocol(func(name string) string { return lookupEnv(env, name) })
	env, files, err := st.commandFiles(ctx, p, env)
	if err != nil {
		return Exit{}, err
	}
	c.Env = env
	cmd := Command{Env: env, Interrupt: j.Interrupt, Terminate: j.Terminate, Kill: j.Kill}
	out := newPump(st, p, j.ws.Machine().Workspace)
	exit, err := engine.RunContainer(ctx, j.ws, c, cmd, Stdio{Out: out})
	out.flush()
	if err != nil {
		return exit, err
	}
	st.ended(cmd, exit)
	st.readCommands(context.WithoutCancel(ctx), p, files)
	return exit, nil
}

// Steps implements [StepContext].
func (st *step) Steps(ctx context.Context, steps []*pipeline.Step, inputs pipeline.Object, action *pipeline.ActionScope, outputs []pipeline.Output) (pipeline.Status, error) {
	env := pipeline.NewEnvMap()
	if st.frame.env != nil {
		env.Merge(st.frame.env)
	}
	env.Merge(st.own.env)
	f := &frame{job: st.frame.job, outer: st, env: env, inputs: inputs, action: action, status: pipeline.Success, outcome: pipeline.Success, results: &results{}}
	f.runSteps(steps)
	f.waitBackground(nil)
	s := f.scope(nil)
	for _, o := range outputs {
		v, err := o.Value.Text(s)
		if err != nil {
			return st.Fail("%v", err)
		}
		st.Apply(pipeline.SetOutput{Name: o.Name, Value: v})
	}
	status, why := f.end()
	if why != "" {
		st.own.mu.Lock()
		st.own.why = why
		st.own.mu.Unlock()
	}
	return status, nil
}

// After implements [StepContext].
func (st *step) After(h Hook) {
	j := st.frame.job
	j.mu.Lock()
	defer j.mu.Unlock()
	j.after = append(j.after, h)
}

// State implements [StepContext].
func (st *step) State() map[string]string {
	j := st.frame.job
	m := j.state(st.def)
	j.mu.Lock()
	defer j.mu.Unlock()
	return m.Strings()
}

// Fail implements [StepContext].
func (st *step) Fail(format string, args ...any) (pipeline.Status, error) {
	st.failBy(fmt.Sprintf(format, args...))
	return pipeline.Failure, nil
}

// failBy shows an error and fails the step, whatever its process says.
func (st *step) failBy(message string) {
	st.annotateError(message)
	st.own.mu.Lock()
	defer st.own.mu.Unlock()
	st.own.status = pipeline.Failure
	st.own.why = message
}

func (st *step) failure() string {
	st.own.mu.Lock()
	defer st.own.mu.Unlock()
	return st.own.why
}

func (st *step) annotateError(message string) {
	st.Apply(pipeline.Annotate{Annotation: pipeline.Annotation{Level: "error", Message: message}})
}

// Log implements [StepContext].
func (st *step) Log(line string) {
	for l := range strings.SplitSeq(strings.TrimSuffix(line, "\n"), "\n") {
		st.emitLine(l, "")
	}
}

func (st *step) emitLine(line, group string) {
	e := st.head
	e.Type, e.Line, e.Group = Log, st.frame.job.mask(line), group
	st.frame.job.emit(e)
}

func (st *step) group(title string) { st.emitLine(title, "begin") }
func (st *step) endGroup()          { st.emitLine("", "end") }

// Apply implements [StepContext].
func (st *step) Apply(effect pipeline.Effect) {
	j := st.frame.job
	switch e := effect.(type) {
	case pipeline.SetEnv:
		j.setEnv(e.Name, e.Value)
	case pipeline.AddPath:
		j.addPath(e.Dir)
	case pipeline.SetOutput:
		st.own.mu.Lock()
		next := st.own.outputs.Clone()
		next.Set(e.Name, e.Value)
		st.own.outputs = next
		st.own.mu.Unlock()
	case pipeline.SaveState:
		m := j.state(st.def)
		j.mu.Lock()
		m.Set(e.Name, e.Value)
		j.mu.Unlock()
	case pipeline.AddMask:
		j.Mask(e.Text)
	case pipeline.BeginGroup:
		st.group(e.Title)
	case pipeline.EndGroup:
		st.endGroup()
	case pipeline.Debug:
		if j.req.Run.Debug {
			st.emitLine("debug: "+e.Text, "")
		}
	case pipeline.AddSummary:
		j.mu.Lock()
		j.summary.WriteString(e.Markdown)
		if !strings.HasSuffix(e.Markdown, "\n") {
			j.summary.WriteByte('\n')
		}
		j.mu.Unlock()
	case pipeline.AddMatcher:
		if err := j.addMatchers(st.ctx, e.File); err != nil {
			st.Apply(pipeline.Annotate{Annotation: pipeline.Annotation{Level: "warning", Message: err.Error()}})
		}
	case pipeline.RemoveMatcher:
		j.removeMatcher(e.Owner)
	case pipeline.Refuse:
		st.failBy(e.Message)
	case pipeline.Say:
		st.emitLine(e.Text, "")
	case pipeline.Annotate:
		ev := st.head
		a := e.Annotation
		a.File = j.relative(a.File)
		a.Message, a.Title, a.File = j.mask(a.Message), j.mask(a.Title), j.mask(a.File)
		ev.Type, ev.Annotation = Annotated, &a
		j.emit(ev)
	}
}

// relative returns a file's path relative to the work folder where it lies in it.
func (j *job) relative(file string) string {
	if j.ws == nil {
		return file
	}
	if rest, ok := strings.CutPrefix(file, j.ws.Machine().Workspace+"/"); ok {
		return rest
	}
	return file
}
