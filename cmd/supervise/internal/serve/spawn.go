package serve

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// spawn starts a job. Its errors are those of the plan, and -32009 while shutting down,
// -32003 for too many jobs, processes or descriptors, -32007 for limits, -32010. Whatever
// fails, nothing is left of the job, and descriptors that came with the request are
// closed. They are taken first, even for a request that is wrong: else the next request
// would get them.
func (r *request) spawn() (any, error) {
	var p protocol.SpawnParams
	err := r.params(&p)
	if err != nil { // what comes behind the parameter that is wrong was not read
		var alone struct {
			FDs int `json:"fds"`
		}
		json.Unmarshal(r.Params, &alone)
		p.FDs = alone.FDs
	}
	if e := r.takeDescriptors(p.FDs); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return nil, err
	case r.v.phase >= closing:
		return nil, failure(protocol.CodeShuttingDown, "", "shutting down: no more jobs")
	case len(r.v.jobs) >= maxJobs:
		return nil, failure(protocol.CodeTooMany, "", "there are %d jobs already", maxJobs)
	case r.v.kept >= maxKept:
		return nil, failure(protocol.CodeTooMany, "", "the arguments and tags of the jobs have %d bytes already", r.v.kept)
	}
	plan, err := r.v.plan(&p)
	if err != nil {
		return nil, err
	}
	// It closes the job's descriptors in any case, as the child has its duplicates by
	// now.
	defer plan.close()
	if err := plan.connect(r, p.Stdio); err != nil {
		return nil, err
	}
	j, err := r.v.start(plan)
	if err != nil {
		return nil, plan.startError(err)
	}
	r.give, plan.give, plan.outputs = plan.give, nil, nil // outputs are the job's now, the ends of pipes go with the answer
	// From here on nothing can fail.
	r.after = j.begun
	limits, unenforced := j.limits()
	return &protocol.SpawnResult{
		Job: j.number, PID: j.pid, Cgroup: j.path(), Limits: limits, Unenforced: unenforced, Pipes: plan.pipes,
	}, nil
}

// takeDescriptors takes those that belong to the request, which owns them from then on.
// The owner has sent them with or before the request's last byte, so they are here.
func (r *request) takeDescriptors(n int) error {
	switch {
	case n == 0:
		return nil
	case !r.v.conn.Rights():
		return failure(protocol.CodeUnsupported, "fds", "descriptors travel over a stream socket of AF_UNIX alone")
	case n < 0 || n > protocol.MaxDescriptors:
		return failure(protocol.CodeInvalidParams, "fds", "fds: want 0 to %d", protocol.MaxDescriptors)
	}
	// The order is that of their arrival, over all requests.
	if r.fds = r.v.conn.Descriptors(n); r.fds == nil {
		return failure(protocol.CodeInvalidParams, "fds", "fds: fewer than %d descriptors came", n)
	}
	return nil
}

// A plan is a job that is about to be started. It owns the descriptors that are open for
// the job, up to the start; close is called in any case.
type plan struct {
	*protocol.SpawnParams
	v        *server
	spec     supervisor.Spec
	path     string // "": that of argv[0]
	dir      string // "": the server's
	name     string
	env      []string
	limits   cgroup.Limits
	pressing []pressureTrigger

	files   []uintptr // the job's descriptors, by number
	mine    []int     // to be closed when the job has its duplicates
	give    []int     // the other ends of pipes, for the owner
	pipes   []int     // the numbers that they are the other ends of
	outputs []*output
}

// checkNames refuses names with "=", which would set another variable than they say, and
// empty ones.
func checkNames[V any](field string, vars map[string]V) error {
	for name := range vars {
		if name == "" || strings.ContainsRune(name, '=') {
			return failure(protocol.CodeInvalidParams, field, "%s: %q is no name of a variable", field, name)
		}
	}
	return nil
}

// start starts the planned job. A job is a session (setsid(2)), so that none of its
// descendants has a controlling terminal, and the server's is not the job's. A number is
// used once, also for a start that fails: an owner may not mistake one job for another.
func (v *server) start(p *plan) (*job, error) {
	// Not given back on an error: a number in a log is that of one spawn.
	v.last++
	j := &job{v: v, number: v.last, name: p.name, argv: p.Argv, tags: p.Tags, outputs: p.outputs}
	for _, what := range p.Notify {
		j.descendants = j.descendants || what == protocol.NotifyDescendants
		j.oomWanted = j.oomWanted || what == protocol.NotifyOOM
		j.limitWanted = j.limitWanted || what == protocol.NotifyLimit
	}
	p.spec.Argv, p.spec.Tag = p.Argv, j
	// Setsid gives the job a process group of its own as well, whose number is the main
	// process's pid.
	p.spec.Attr = &syscall.ProcAttr{Dir: p.dir, Env: p.env, Files: p.files, Sys: &syscall.SysProcAttr{Setsid: true}}
	start := j.startNested
	if v.place.InCgroup() {
		start = j.startInCgroup
	}
	if err := start(p); err != nil {
		return nil, err
	}
	v.jobs[j.number] = j
	v.kept += j.size()
	return j, nil
}

// startError gives an error of finding or executing the program its code, -32005 or -32006.
// All others, such as a lack of processes, are left to errorOf. chdir fails in the same child
// as execve, so a cwd that cannot be entered is found out by a second look.
func (p *plan) startError(err error) error {
	code := protocol.CodeNotExecutable
	var errno syscall.Errno
	switch {
	case program.IsNotFound(err):
		code = protocol.CodeNotFound
	case !program.IsNotExecutable(err):
		return program.Starting(p.Argv[0], err)
	}
	field := "argv"
	if p.path != "" {
		field = "path"
	}
	// The error does not tell which of the two calls of the child has failed.
	if p.dir != "" && unix.Access(p.dir, unix.X_OK) != nil {
		field = "cwd"
	}
	errors.As(err, &errno)
	e := failure(code, field, "%s: %v", cmp.Or(map[string]string{"cwd": p.dir, "path": p.path}[field], p.Argv[0]), err)
	e.Data.Errno = unix.ErrnoName(errno)
	return e
}

// close closes what the job has got by now, or will not get. After a start that succeeded
// give and outputs are no longer the plan's.
func (p *plan) close() {
	wire.CloseAll(p.mine)
	wire.CloseAll(p.give)
	for _, o := range p.outputs {
		unix.Close(o.fd)
	}
}
