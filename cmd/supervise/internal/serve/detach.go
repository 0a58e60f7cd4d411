package serve

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A detaching moves a job to a scope of its own, for which the server asks the service
// manager by supervise-scope. The job is frozen meanwhile: a process that is forked
// between the listing of the pids and their move would stay in the cgroup of the server.
// A process that the manager moves thaws by itself, as a scope is not frozen.
type detaching struct {
	v     *server
	j     *job
	id    json.RawMessage
	thaw  bool // the job was not frozen before, so undo thaws it
	scope containment.Scope
}

// detach lets a job go. It gives -32008 without systemd or a cgroup, for a job with
// captured output, for one that is being detached, and when the manager refuses; -32004
// if the job ends before the manager has answered. It is answered late, in answered: the
// loop goes on while the manager works.
func (r *request) detach() (any, error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	switch {
	case err != nil:
		return nil, err
	case j.held == nil || !cgroup.Managed():
		return nil, failure(protocol.CodeUnsupported, "", "to detach a job needs systemd, and a cgroup")
	// A pipe of the server's breaks when the server exits, and the job with it.
	case len(j.outputs) > 0:
		return nil, failure(protocol.CodeUnsupported, "job", "the output of job %d is captured; it would write to nobody", j.number)
	case len(j.inputs) > 0:
		return nil, failure(protocol.CodeUnsupported, "job", "job %d has input from the owner; it would meet the end of it", j.number)
	case j.detaching:
		return nil, failure(protocol.CodeUnsupported, "job", "job %d is being detached already", j.number)
	}
	d := &detaching{v: r.v, j: j, id: r.ID, thaw: !j.frozen}
	// Before the pids are listed: from here on none is forked.
	if err := j.setFrozen(true); err != nil {
		return nil, err
	}
	if err := d.ask(); err != nil {
		d.undo()
		return nil, err
	}
	// The job is still in the list, and may be killed until the manager has answered.
	j.detaching, r.late = true, true
	return nil, nil
}

// ask has a scope made with all processes of the job in it. The helper is a child like
// any, so the loop reaps it: a chore, of which no job is told.
func (d *detaching) ask() error {
	pids, err := d.j.held.Procs()
	if err != nil {
		return err
	}
	d.j.held.Unmark() // the guardian is not to know them any more
	v := d.v
	a, err := containment.AskScope(v.o.Patience, v.o.Slice, d.j.name, pids...)
	if err != nil {
		return err
	}
	v.s.Chore(a.PID(), func(bool) { d.answered(a) })
	return nil
}

// answered is called when the helper has ended. The job may have been killed in the
// meantime; frozen processes die of SIGKILL as others do (cgroup v2).
func (d *detaching) answered(a *program.Sibling) {
	var err error
	d.scope, err = containment.ReadScope(a)
	d.j.detaching = false
	if d.v.jobs[d.j.number] == nil { // it was killed meanwhile
		err = failure(protocol.CodeNoJob, "job", "job %d has ended", d.j.number)
		d.answer(nil, err)
		return
	}
	if err == nil {
		err = d.release()
	}
	if err != nil {
		d.undo()
		d.answer(nil, fmt.Errorf("detaching: %w", errors.Join(errors.ErrUnsupported, err)))
		return
	}
	d.answer(&protocol.DetachResult{Unit: d.scope.Unit, Cgroup: d.scope.Cgroup}, nil)
}

// answer answers the request, if that has an id.
func (d *detaching) answer(result any, err error) {
	if d.id != nil {
		d.v.answer(d.id, result, errorOf(err), nil)
	}
}

// undo has the job go on as it was, after a refusal.
func (d *detaching) undo() {
	d.j.held.Remark()
	if d.thaw {
		d.j.setFrozen(false)
	}
}

// release forgets the job, which has left its cgroup. A cgroup that still holds a process
// means that the manager moved only some of them; the job then stays ours. There is no
// ended for a detached job, as it has not ended: an open wait is answered with -32004.
func (d *detaching) release() error {
	j := d.j
	empty, err := j.held.Job.Empty()
	if err != nil || !empty {
		return errors.Join(err, errors.New("the manager has not moved all of it"))
	}
	j.stopWatching()
	j.ready.close(j)
	j.pipeline.ends()
	j.killing.fail(j, failure(protocol.CodeNoJob, "job", "job %d was detached", j.number))
	j.loop.Release()
	delete(d.v.dirs, j.held.Name())
	d.v.forget(j)
	// The cgroup is kept rather than the pids: the job goes on forking in it.
	d.v.detached = append(d.v.detached, d.scope.Cgroup)
	d.v.waits -= len(j.waits)
	for _, id := range d.v.take(&j.waits) {
		d.v.answer(id, nil, failure(protocol.CodeNoJob, "job", "job %d was detached", j.number), nil)
	}
	return j.held.Close()
}

// sweepLast implements the sweep of the loop: it ends the descendants that have moved out
// of their job's cgroup when no job is left. A detached job is a descendant still, as its
// main process stays our child, so it is spared, by the cgroup in which each process is
// now.
func (v *server) sweepLast() error {
	defer v.place.ForgetOrphans()
	tree := v.place.Tree
	for _, path := range v.detached {
		pids, err := tree.Procs()
		if err != nil {
			return err
		}
		tree.Spare = append(tree.Spare, inside(path, pids)...)
	}
	return tree.Kill()
}

// inside returns those of some processes that are in a cgroup, or below it.
func inside(path string, pids []int) (in []int) {
	for _, pid := range pids {
		if len(cgroup.Outside(path, []int{pid})) == 0 {
			in = append(in, pid)
		}
	}
	return in
}
