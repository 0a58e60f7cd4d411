package serve

import (
	"encoding/json"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
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
	if err = plan.open(r, p.Stdio); err == nil {
		var j *job
		if j, err = r.v.start(plan); err == nil {
			r.start = newStart(r, plan, j)
			return nil, nil
		}
		err = plan.commands[0].startError(err)
	}
	plan.close()
	return nil, err
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
	commands []*command
	argv     []string // for the record: of a pipeline all of them, with "|" between
	dir      string   // "": the server's
	name     string
	env      []string
	limits   cgroup.Limits
	pressing []pressureTrigger

	files   []uintptr // the job's descriptors, by number
	mine    []int     // to be closed when the job has its duplicates
	give    []int     // the other ends of pipes, for the owner
	pipes   []int     // the numbers that they are the other ends of
	outputs []*output
	inputs  []*input

	terminal *terminal  // nil: none
	ready    *readiness // nil: not asked for
	pipeline *pipelined // nil: one command
}

// start starts the planned job. A job is a session (setsid(2)), so that none of its
// descendants has a controlling terminal, and the server's is not the job's. A number is
// used once, also for a start that fails: an owner may not mistake one job for another.
func (v *server) start(p *plan) (*job, error) {
	// Not given back on an error: a number in a log is that of one spawn.
	v.last++
	j := &job{
		v: v, number: v.last, name: p.name, argv: p.argv, tags: p.Tags,
		outputs: p.outputs, inputs: p.inputs, terminal: p.terminal, ready: p.ready, pipeline: p.pipeline,
	}
	for _, what := range p.Notify {
		j.descendants = j.descendants || what == protocol.NotifyDescendants
		j.oomWanted = j.oomWanted || what == protocol.NotifyOOM
		j.limitWanted = j.limitWanted || what == protocol.NotifyLimit
	}
	p.spec.Tag = j
	// Setsid gives the job a process group of its own as well, whose number is the main
	// process's pid.
	p.spec.Attr = &syscall.ProcAttr{Dir: p.dir, Env: p.env, Files: p.files, Sys: &syscall.SysProcAttr{Setsid: true}}
	if p.terminal != nil {
		p.spec.Attr.Sys.Setctty, p.spec.Attr.Sys.Ctty = true, p.terminal.number
	}
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

// close closes what the job has got by now, its child having duplicates, or will not get.
func (p *plan) close() {
	wire.CloseAll(p.mine)
	wire.CloseAll(p.give)
	for _, o := range p.outputs {
		unix.Close(o.fd)
		if o.kept != nil {
			p.v.archive.release(o.kept.most)
		}
	}
	for _, in := range p.inputs {
		unix.Close(in.fd)
	}
	p.terminal.close()
	if p.ready != nil {
		unix.Close(p.ready.fd)
	}
	if p.pipeline != nil {
		unix.Close(p.pipeline.statuses)
	}
}

// handOver gives the job what is its own from here on; the ends of pipes go with the answer.
func (p *plan) handOver(r *request) {
	r.give, p.give = p.give, nil
	p.outputs, p.inputs, p.terminal, p.ready, p.pipeline = nil, nil, nil, nil, nil
	p.v.archive.makeRoom()
}
