package clienttest

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// spawn starts a job: see the checks for what it refuses.
func (r *request) spawn() (any, func(), error) {
	var p protocol.SpawnParams
	if err := r.params(&p); err != nil {
		return nil, nil, err
	}
	if r.c.closing {
		return nil, nil, failure(protocol.CodeShuttingDown, "", "shutting down: no more jobs")
	}
	if p.FDs > 0 {
		return nil, nil, failure(protocol.CodeUnsupported, "fds", "descriptors do not travel here")
	}
	j := &job{c: r.c, SpawnParams: &p, started: now(), inputs: map[int]*input{}, outputs: map[int]*output{}}
	for _, check := range []func() error{j.checkCommands, j.checkRest, j.checkSupport, j.connect} {
		if err := check(); err != nil {
			return nil, nil, err
		}
	}
	r.c.last++
	j.number, j.phaseStarted = r.c.last, j.started
	r.c.jobs[j.number] = j
	for i, p := range j.processes {
		p.PID = firstPID + 100*j.number + i
	}
	result := protocol.SpawnResult{Job: j.number, PID: j.pid(), Cgroup: r.c.cgroup("/" + j.name)}
	result.Limits, result.Unenforced = r.c.limits(p.Limits)
	j.limits, j.unenforced = result.Limits, result.Unenforced
	return result, j.start, nil
}

// checkCommands finds what stands in for the commands.
func (j *job) checkCommands() error {
	commands := j.Pipeline
	switch {
	case len(commands) == 0:
		commands = []protocol.Command{{Argv: j.Argv, Path: j.Path}}
	case len(commands) > protocol.MaxCommands:
		return failure(protocol.CodeInvalidParams, "pipeline", "pipeline: at most %d commands", protocol.MaxCommands)
	case len(j.Argv) > 0 || j.Path != "":
		return failure(protocol.CodeInvalidParams, "pipeline", "pipeline: want it, or argv, not both")
	}
	if err := cmp.Or(checkNames("env", j.Env), checkNames("env_update", j.EnvUpdate)); err != nil {
		return err
	}
	for i, c := range commands {
		where := ""
		if len(j.Pipeline) > 0 {
			where = fmt.Sprintf("pipeline[%d].", i)
		}
		p := &Process{Argv: c.Argv, Dir: cmp.Or(string(c.Cwd), string(j.Cwd)), job: j, ended: make(chan struct{})}
		p.Env = environment(environment(nil, j.Env, j.EnvUpdate), c.Env, c.EnvUpdate)
		if err := p.check(where, string(c.Path), c); err != nil {
			return err
		}
		j.processes = append(j.processes, p)
		if i > 0 {
			j.argv = append(j.argv, "|")
		}
		j.argv = append(j.argv, c.Argv...)
	}
	j.name = cmp.Or(string(j.Name), path.Base(j.argv[0]))
	return nil
}

// check checks a command, and finds its program.
func (p *Process) check(where, file string, c protocol.Command) error {
	if len(p.Argv) == 0 {
		return failure(protocol.CodeInvalidParams, where+"argv", "%sargv: want a command", where)
	}
	texts := map[string]string{"path": file, "cwd": p.Dir, "env": strings.Join(p.Env, "\n")}
	for i, text := range p.Argv {
		texts[fmt.Sprintf("argv[%d]", i)] = text
	}
	for field, text := range texts {
		if strings.ContainsRune(text, 0) {
			return failure(protocol.CodeInvalidParams, where+field, "%s%s: it holds a NUL byte", where, field)
		}
	}
	if err := cmp.Or(checkNames(where+"env", c.Env), checkNames(where+"env_update", c.EnvUpdate)); err != nil {
		return err
	}
	if p.program = p.job.c.program(file, p.Argv); p.program != nil {
		return nil
	}
	field := "argv"
	if file != "" {
		field = "path"
	}
	e := failure(protocol.CodeNotFound, where+field, "%s: clienttest has no program for it", cmp.Or(file, p.Argv[0]))
	e.Data.Errno = "ENOENT"
	return e
}

func checkNames[V any](field string, vars map[string]V) error {
	for name := range vars {
		if name == "" || strings.ContainsRune(name, '=') {
			return failure(protocol.CodeInvalidParams, field, "%s: %q is no name of a variable", field, name)
		}
	}
	return nil
}

// environment is all of env, or, if that is nil, what there was, with changes. The server
// itself has none.
func environment(was []string, all protocol.Environ, changes protocol.EnvironUpdate) []string {
	env := map[string]string{}
	for _, pair := range was {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	if all != nil {
		env = map[string]string{}
		for name, value := range all {
			env[name] = value
		}
	}
	for name, value := range changes {
		if delete(env, name); value != nil {
			env[name] = *value
		}
	}
	list := []string{}
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// checkRest checks names, times and words.
func (j *job) checkRest() (err error) {
	if len(j.Name) > 255 || strings.ContainsAny(string(j.Name), "/\n\x00") {
		return failure(protocol.CodeInvalidParams, "name", "name: want at most 255 bytes without slash and newline")
	}
	j.grace = 10 * time.Second
	if j.Grace != nil {
		if j.grace, err = durationOf("grace", *j.Grace); err != nil {
			return err
		}
	}
	for field, seconds := range map[string]float64{"timeout": j.Timeout, "cpu_timeout": j.CPUTimeout, "sample": j.Sample} {
		if _, err := durationOf(field, seconds); err != nil {
			return err
		}
	}
	if j.Sample > 0 && j.Sample < 0.001 {
		return failure(protocol.CodeInvalidParams, "sample", "sample: want 1 ms or more")
	}
	if j.sig, err = signalOf(j.Signal, sigterm); err != nil {
		return err
	}
	if !slices.Contains([]protocol.Leftovers{"", protocol.LeftoversKill, protocol.LeftoversWait, protocol.LeftoversFail}, j.Leftovers) {
		return failure(protocol.CodeInvalidParams, "leftovers", "leftovers: want kill, wait or fail")
	}
	for i, what := range j.Notify {
		if !slices.Contains([]string{protocol.NotifyDescendants, protocol.NotifyOOM, protocol.NotifyLimit, protocol.NotifyReady}, what) {
			return failure(protocol.CodeInvalidParams, fmt.Sprintf("notify[%d]", i), "notify: there is no %q", what)
		}
	}
	for i, t := range j.Pressure {
		if !slices.Contains([]string{"cpu", "memory", "io"}, t.Resource) || t.WindowS < 0.5 || t.WindowS > 10 || t.StallS <= 0 || t.StallS > t.WindowS {
			return failure(protocol.CodeInvalidParams, fmt.Sprintf("pressure[%d]", i), "pressure: want a resource, and at most 10 s")
		}
	}
	return nil
}

// checkSupport refuses what is not to be had without a cgroup.
func (j *job) checkSupport() error {
	for field, wanted := range map[string]bool{
		"cpu_timeout": j.CPUTimeout > 0, "sample": j.Sample > 0, "pressure": len(j.Pressure) > 0, "delegate": j.Delegate,
		"limits": len(j.Limits) > 0 && !j.BestEffort,
		"notify": slices.Contains(j.Notify, protocol.NotifyOOM) || slices.Contains(j.Notify, protocol.NotifyLimit),
	} {
		if wanted {
			if err := j.c.needCgroup(field); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxStdio is a number of descriptors.
const maxStdio = 1024

// connect makes the descriptors.
func (j *job) connect() error {
	if len(j.Stdio) > maxStdio {
		return failure(protocol.CodeInvalidParams, "stdio", "stdio: at most %d descriptors", maxStdio)
	}
	for i, s := range j.Stdio {
		if e := protocolError(j.connectOne(i, &s)); e != nil {
			if e.Data == nil {
				e.Data = &protocol.ErrorData{}
			}
			e.Data.Field = fmt.Sprintf("stdio[%d]", i)
			return e
		}
	}
	if n := j.promised() + j.c.promised(); n > maxKept {
		return failure(protocol.CodeTooMany, fmt.Sprintf("stdio[%d]", len(j.Stdio)-1), "of the running jobs %d bytes of output are kept at most", maxKept)
	}
	return nil
}

// connectOne makes one descriptor. Those that nothing is made for are /dev/null.
func (j *job) connectOne(i int, s *protocol.Stdio) error {
	kinds := 0
	for _, is := range []bool{s.Null, s.Inherit, s.File != "", s.Pipe, s.FD != nil, s.Dup != nil, s.Input, s.Capture != nil, s.PTY != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds > 1 || s.Mode != "" && s.File == "":
		return wrong("want exactly one kind of descriptor")
	case s.Inherit, s.FD != nil:
		return wrong("there is no such descriptor")
	case s.File != "" && !slices.Contains([]protocol.FileMode{"", protocol.FileRead, protocol.FileAppend, protocol.FileCreate, protocol.FileTruncate}, s.Mode):
		return wrong("mode: want read, append, create or truncate")
	case s.File != "":
		return failure(protocol.CodeUnsupported, "", "clienttest has no files")
	case s.Pipe:
		return failure(protocol.CodeUnsupported, "", "descriptors do not travel here")
	case s.Dup != nil && (*s.Dup < 0 || *s.Dup >= i):
		return wrong("dup: want a lower descriptor of the job")
	case s.Dup != nil:
		if o := j.descriptor(*s.Dup); o != nil {
			j.duplicates = append(j.duplicates, duplicate{i, o})
		}
	case s.Input:
		j.inputs[i] = &input{job: j, fd: i}
	case s.Capture != nil:
		return j.capture(i, s.Capture)
	case s.PTY != nil:
		return j.pty(i, s.PTY)
	}
	return nil
}

func wrong(what string) error { return failure(protocol.CodeInvalidParams, "", "%s", what) }

func (j *job) capture(i int, c *protocol.CaptureSpec) error {
	if i == 0 || c.Limit < -1 || c.Window < 0 || c.Keep < 0 || c.Keep > protocol.MaxKept {
		return wrong("capture: want a descriptor from 1 on, and sizes of 0 or more")
	}
	o := &output{job: j, fd: i, left: c.Limit, unlimited: c.Limit < 0, windowed: c.Window > 0, credit: c.Window, text: c.Text, keep: c.Keep}
	if c.Limit == 0 && c.Keep == 0 {
		o.left, o.unlimited = 1<<20, o.windowed
	}
	j.outputs[i] = o
	return nil
}

func (j *job) pty(i int, p *protocol.PTYSpec) error {
	switch {
	case i > 2:
		return wrong("pty: want it for descriptors 0, 1 and 2")
	case j.rows > 0 && *p != protocol.PTYSpec{}:
		return wrong("pty: say what it is like once")
	case j.rows > 0:
		return nil
	case p.Master:
		return failure(protocol.CodeUnsupported, "", "descriptors do not travel here")
	case p.Window < 0 || p.Keep < 0 || p.Keep > protocol.MaxKept:
		return wrong("pty: want sizes of 0 or more")
	}
	j.rows, j.cols = cmp.Or(p.Rows, 24), cmp.Or(p.Cols, 80)
	in := &input{job: j, terminal: true}
	j.inputs[0], j.inputs[1], j.inputs[2] = in, in, in
	j.outputs[1] = &output{job: j, fd: 1, unlimited: p.Keep == 0, windowed: p.Window > 0, credit: p.Window, text: p.Text, keep: p.Keep}
	return nil
}
