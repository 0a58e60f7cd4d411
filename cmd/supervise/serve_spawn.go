package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// spawn starts a job. Whatever fails, nothing is left of it.
func (r *request) spawn() (any, error) {
	var p protocol.SpawnParams
	err := r.params(&p)
	if e := r.takeDescriptors(p.FDs); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return nil, err
	case r.v.closing || r.v.gone:
		return nil, failure(protocol.CodeShuttingDown, "", "shutting down: no more jobs")
	case len(r.v.jobs) >= maxJobs:
		return nil, failure(protocol.CodeTooMany, "", "there are %d jobs already", maxJobs)
	}
	plan, err := r.v.plan(&p)
	if err != nil {
		return nil, err
	}
	defer plan.close()
	if err := plan.connect(r, p.Stdio); err != nil {
		return nil, err
	}
	j, err := r.v.start(plan)
	if err != nil {
		return nil, plan.startError(err)
	}
	r.give, plan.give, plan.outputs = plan.give, nil, nil // the job's, and the owner's
	r.after = j.begun
	return &protocol.SpawnResult{
		Job: j.number, PID: j.pid, Cgroup: j.path(), Limits: limitsOf(j.limits),
		Unenforced: append([]protocol.Unenforced{}, j.unenforced...), Pipes: plan.pipes,
	}, nil
}

// takeDescriptors takes those that belong to the request.
func (r *request) takeDescriptors(n int) error {
	switch {
	case n == 0:
		return nil
	case !r.v.conn.Rights():
		return failure(protocol.CodeUnsupported, "fds", "descriptors travel over a stream socket of AF_UNIX alone")
	case n < 0 || n > protocol.MaxDescriptors:
		return failure(protocol.CodeInvalidParams, "fds", "fds: want 0 to %d", protocol.MaxDescriptors)
	}
	if r.fds = r.v.conn.Descriptors(n); r.fds == nil {
		return failure(protocol.CodeInvalidParams, "fds", "fds: fewer than %d descriptors came", n)
	}
	return nil
}

// A plan is a job that is about to be started. It owns the descriptors that are
// open for it.
type plan struct {
	*protocol.SpawnParams
	v        *server
	spec     supervisor.Spec
	env      []string
	dir      string
	limits   cgroup.Limits
	pressing []pressing

	files   []uintptr // the job's descriptors, by number
	mine    []int     // to be closed when it has them
	give    []int     // the other ends of pipes, for the owner
	pipes   []int     // the numbers that they are the other ends of
	outputs []*output
}

// plan checks everything that can be without starting anything.
func (v *server) plan(p *protocol.SpawnParams) (*plan, error) {
	pl := &plan{SpawnParams: p, v: v, dir: p.Cwd, env: environment(p.Env, p.EnvUpdate)}
	for _, check := range []func() error{pl.checkCommand, pl.checkTimes, pl.checkLimits, pl.checkNotify, pl.checkSupport} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

func (p *plan) checkCommand() error {
	if len(p.Argv) == 0 {
		return failure(protocol.CodeInvalidParams, "argv", "argv: want a command")
	}
	for i, text := range append(append(slices.Clone(p.Argv), p.Path, p.Cwd), p.env...) {
		if strings.ContainsRune(text, 0) {
			return failure(protocol.CodeInvalidParams, p.field(i), "%s holds a NUL byte", p.field(i))
		}
	}
	if err := checkNames("env", p.SpawnParams.Env); err != nil {
		return err
	}
	if err := checkNames("env_update", p.EnvUpdate); err != nil {
		return err
	}
	if p.Name != "" && (len(p.Name) > 255 || strings.ContainsAny(p.Name, "/\n\x00")) {
		return failure(protocol.CodeInvalidParams, "name", "name: want at most 255 bytes without slash and newline")
	}
	p.Name = cmp.Or(p.Name, path.Base(p.Argv[0]))
	p.spec.Path = p.Path
	if p.Path == "" {
		search := defaultPath
		for _, v := range p.env {
			if value, ok := strings.CutPrefix(v, "PATH="); ok {
				search = value
			}
		}
		found, err := lookPathIn(p.Argv[0], search, p.dir)
		if err != nil {
			return p.startError(err)
		}
		p.spec.Path = found
	}
	return nil
}

func (p *plan) field(i int) string {
	switch n := len(p.Argv); {
	case i < n:
		return fmt.Sprintf("argv[%d]", i)
	case i == n:
		return "path"
	case i == n+1:
		return "cwd"
	}
	return "env"
}

// checkNames refuses variables that would be others.
func checkNames[V any](field string, vars map[string]V) error {
	for name := range vars {
		if name == "" || strings.ContainsRune(name, '=') {
			return failure(protocol.CodeInvalidParams, field, "%s: %q is no name of a variable", field, name)
		}
	}
	return nil
}

// environment is all of it, or ours, with the updates.
func environment(all map[string]string, updates map[string]*string) []string {
	var env []string
	if all != nil {
		for name, value := range all {
			env = append(env, name+"="+value)
		}
	} else {
		env = os.Environ()
	}
	if len(updates) == 0 {
		return env
	}
	env = slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, changed := updates[name]
		return changed
	})
	for name, value := range updates {
		if value != nil {
			env = append(env, name+"="+*value)
		}
	}
	return env
}

func (p *plan) checkTimes() (err error) {
	s := &p.spec
	grace := defaultGrace
	if p.Grace != nil {
		if grace, err = durationOf("grace", *p.Grace); err != nil {
			return err
		}
	}
	s.Grace = grace
	if s.Timeout, err = durationOf("timeout", p.Timeout); err != nil {
		return err
	}
	if s.CPUTime, err = durationOf("cpu_timeout", p.CPUTimeout); err != nil {
		return err
	}
	if s.Every, err = durationOf("sample", p.Sample); err != nil {
		return err
	}
	if s.Every > 0 && s.Every < minSample {
		return failure(protocol.CodeInvalidParams, "sample", "sample: want %v or more", minSample)
	}
	s.Signal, err = signalOf(p.Signal, unix.SIGTERM)
	return err
}

func (p *plan) checkLimits() (err error) {
	modes := map[protocol.Leftovers]supervisor.Leftovers{
		"": supervisor.Kill, protocol.LeftoversKill: supervisor.Kill, protocol.LeftoversWait: supervisor.Wait, protocol.LeftoversFail: supervisor.Fail,
	}
	mode, ok := modes[p.Leftovers]
	if !ok {
		return failure(protocol.CodeInvalidParams, "leftovers", "leftovers: want kill, wait or fail")
	}
	p.spec.Leftovers = mode
	p.limits, err = limitsFrom(p.SpawnParams.Limits)
	return err
}

// limitsFrom reads limits by their names, in an order that does not change.
func limitsFrom(given map[string]protocol.LimitValue) (limits cgroup.Limits, err error) {
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		l, err := parseLimit(name, string(given[name]))
		if err != nil {
			return nil, failure(protocol.CodeInvalidParams, "limits."+name, "limits: %v", err)
		}
		limits = append(limits, l...)
	}
	return limits, nil
}

func (p *plan) checkNotify() error {
	for i, what := range p.Notify {
		switch what {
		case protocol.NotifyDescendants, protocol.NotifyOOM, protocol.NotifyLimit:
		default:
			field := fmt.Sprintf("notify[%d]", i)
			return failure(protocol.CodeInvalidParams, field, "%s: want descendants, oom or limit", field)
		}
	}
	for i, one := range p.Pressure {
		pressing, err := pressingOf(one)
		if err != nil {
			field := fmt.Sprintf("pressure[%d]", i)
			return failure(protocol.CodeInvalidParams, field, "%s: %v", field, err)
		}
		p.pressing = append(p.pressing, pressing)
	}
	return nil
}

// checkSupport refuses what cannot be without a cgroup.
func (p *plan) checkSupport() error {
	if p.v.hold.session != nil {
		return nil
	}
	wanted := map[string]bool{
		"cpu_timeout": p.CPUTimeout > 0, "sample": p.Sample > 0, "pressure": len(p.Pressure) > 0,
		"limits": len(p.limits) > 0 && !p.BestEffort, "delegate": p.Delegate,
		"notify": slices.Contains(p.Notify, protocol.NotifyOOM) || slices.Contains(p.Notify, protocol.NotifyLimit),
	}
	for field, is := range wanted {
		if is {
			return failure(protocol.CodeUnsupported, field, "%s needs a cgroup: %s", field, p.v.hold.reason)
		}
	}
	return nil
}

// start starts what is planned.
func (v *server) start(p *plan) (*servedJob, error) {
	v.last++
	j := &servedJob{v: v, number: v.last, name: p.Name, argv: p.Argv, tags: p.Tags, outputs: p.outputs}
	for _, what := range p.Notify {
		j.descendants = j.descendants || what == protocol.NotifyDescendants
		j.oomWanted = j.oomWanted || what == protocol.NotifyOOM
		j.limitWanted = j.limitWanted || what == protocol.NotifyLimit
	}
	p.spec.Argv, p.spec.Tag, p.spec.Ended = p.Argv, j, func(_ *supervisor.Job, r supervisor.Result) { j.ended(&r) }
	p.spec.Attr = &syscall.ProcAttr{Dir: p.dir, Env: p.env, Files: p.files, Sys: &syscall.SysProcAttr{Setsid: true}}
	start := j.startNested
	if v.hold.session != nil {
		start = j.startInCgroup
	}
	if err := start(p); err != nil {
		return nil, err
	}
	v.jobs[j.number] = j
	return j, nil
}

// startError says why a job could not be started.
func (p *plan) startError(err error) error {
	code := protocol.CodeNotExecutable
	var failed cgroup.LimitErrors
	var errno syscall.Errno
	switch {
	case errors.As(err, &failed):
		e := failure(protocol.CodeLimit, "limits."+limitField(failed[0].Limit.Name), "%s", oneLine(err))
		return e
	case !isErrno(err):
		return err
	case isNotFound(err):
		code = protocol.CodeNotFound
	case errors.As(err, &errno) && slices.Contains([]syscall.Errno{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE}, errno):
		return err
	}
	field := "argv"
	if p.Path != "" {
		field = "path"
	}
	if p.dir != "" && unix.Access(p.dir, unix.X_OK) != nil {
		field = "cwd"
	}
	errors.As(err, &errno)
	e := failure(code, field, "%s: %v", cmp.Or(map[string]string{"cwd": p.dir, "path": p.Path}[field], p.Argv[0]), err)
	e.Data.Errno = unix.ErrnoName(errno)
	return e
}

// limitField finds the name by which a limit was given: "--memory-max 1G" or
// "MemoryMax=1G".
func limitField(name string) string {
	name = strings.TrimPrefix(name, "--")
	return name[:max(0, min(len(name), strings.IndexAny(name+" ", " =")))]
}

// close closes what the job has got by now, or will not get.
func (p *plan) close() {
	wire.CloseAll(p.mine)
	wire.CloseAll(p.give)
	for _, o := range p.outputs {
		unix.Close(o.fd)
	}
}
