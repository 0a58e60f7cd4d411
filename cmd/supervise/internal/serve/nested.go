package serve

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/nested"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A nestedJob is a job that a supervise below this one holds (see package nested), where
// there are no cgroups: one server that is the subreaper of all jobs could not tell whose
// an orphan is. It is the loop's Containment, whose main process is the nested
// supervisor; the job's main process is a grandchild.
type nestedJob struct {
	j      *job
	events int    // our end of the socket, events in, signals out; -1: closed
	out    int    // read end of the record's pipe, non-blocking; closed with events
	text   []byte // of the record, so far
	over   bool   // the main process has ended, so that its pid may be another's
}

// startNested starts the job below a supervisor of its own. It waits, for milliseconds,
// for the first message: only the nested supervisor knows whether the command can be
// executed, and the answer to spawn is to say so. If it cannot, the loop has a job all
// the same, of which the owner hears nothing.
func (j *job) startNested(p *plan) error {
	if j.unenforced = j.v.unlimited(p.limits); p.spec.Every > 0 {
		j.unenforced = append(j.unenforced, j.v.needsCgroup("sample"))
		p.spec.Every = 0
	}
	theirs, err := j.openNested()
	if err != nil {
		return err
	}
	n := j.nested
	// An end that stayed open here would keep the other from seeing the end of file: the
	// wait for the first message of one that has died, too.
	if err = j.v.checkDescriptorReserve(); err == nil {
		err = j.forkNested(p, theirs)
	}
	unix.Close(theirs[0])
	unix.Close(theirs[1])
	if err != nil {
		n.close()
		return err
	}
	if j.pid, err = nested.AwaitStarted(n.events); err != nil {
		// The end of its input has the nested supervisor exit.
		n.over = true // of which ended will not tell
		unix.Shutdown(n.events, unix.SHUT_WR)
	}
	return err
}

// forkNested starts the nested supervisor, with its ends of the connections.
func (j *job) forkNested(p *plan, theirs [2]int) (err error) {
	spec := p.spec
	spec.Path, spec.Argv = nested.Exe, nested.Served(&nested.Job{
		Name: p.name, Program: p.spec.Path, Leftovers: p.spec.Leftovers, Reason: j.v.place.Reason(), Argv: p.spec.Argv,
	}, len(p.files), p.terminal.descriptor())
	// Their numbers in the nested supervisor follow the job's own descriptors: see
	// nested.Served.
	files := append(p.files, uintptr(theirs[0]), uintptr(theirs[1]))
	// A copy, as the plan's own list of files is still the plan's.
	attr := *spec.Attr
	attr.Files, spec.Attr = files, &attr
	// The terminal is for the job's session: that of the nested supervisor must not have it.
	attr.Sys = &syscall.SysProcAttr{Setsid: true}
	// Leftovers is the nested supervisor's to decide. For this loop nothing may outlive
	// the main process, which is the nested supervisor.
	spec.Containment, spec.Nested, spec.Leftovers = j.nested, true, protocol.LeftoversKill
	j.loop, err = j.v.s.Start(spec)
	return err
}

// openNested opens the connections. A SOCK_SEQPACKET socket keeps events apart, whose
// size depends on their kind. The other ends are the caller's to close: the nested
// supervisor gets duplicates.
func (j *job) openNested() (theirs [2]int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return theirs, os.NewSyscallError("socketpair", err)
	}
	r, w, err := newPipe()
	if err != nil {
		unix.Close(pair[0])
		unix.Close(pair[1])
		return theirs, err
	}
	// The record may be missing.
	unix.SetNonblock(r, true)
	j.nested = &nestedJob{j: j, events: pair[0], out: r}
	// A record may be larger than a pipe, and its writer ends only when it has written it.
	err = j.v.poller.Watch(r, unix.EPOLLIN, func(uint32) {
		if !j.nested.readRecord() {
			j.v.poller.Watch(r, 0, nil) // the end of a pipe is always readable
		}
	})
	if err != nil {
		j.nested.close()
		unix.Close(pair[1])
		unix.Close(w)
	}
	return [2]int{pair[1], w}, err
}

// maxUnread is more than there is room for in the socket.
const maxUnread = 1 << 20

// readRecord takes a part of the record; more says that there may be another.
func (n *nestedJob) readRecord() (more bool) {
	part := program.ReadPipe(n.out)
	n.text = append(n.text, part...)
	return len(part) > 0
}

// listen begins to read events, or goes on. While the owner does not read, events stay in
// the socket; when that is full the nested supervisor leaves statuses to the kernel, in
// turn.
func (n *nestedJob) listen() {
	if n.events < 0 {
		return
	}
	v := n.j.v
	err := v.poller.Watch(n.events, unix.EPOLLIN, func(uint32) {
		if v.blocked() {
			v.poller.Watch(n.events, 0, nil)
			v.waiting = append(v.waiting, n.listen)
			return
		}
		n.read()
	})
	v.failed = errors.Join(v.failed, err)
}

// read takes an event and tells it; more says that there may be another. At the end of
// the events the poller must not watch on, as the end of a socket is always readable.
func (n *nestedJob) read() (more bool) {
	var b [protocol.EventSize + nested.UsageSize]byte
	size, _, err := unix.Recvfrom(n.events, b[:], unix.MSG_DONTWAIT)
	if later := wire.Later(err); later == unix.EAGAIN || err == unix.EINTR {
		return err != unix.EAGAIN
	}
	// A message of any other size is the end, or no event; neither is followed by a good
	// one.
	e, bad := protocol.ParseEvent(b[:min(max(size, 0), protocol.EventSize)])
	if err != nil || size < len(b) || bad != nil {
		n.j.v.poller.Watch(n.events, 0, nil)
		return false
	}
	main := e.PID() == n.j.pid
	n.over = n.over || main && e.Code().Ended()
	if main || n.j.descendants {
		n.j.tellStatus(e, nested.ParseUsage(b[protocol.EventSize:]), main)
	}
	return true
}

// signalChild sends a signal to a child of the nested supervisor, which checks the pid
// against its children. A main process that has ended is -32004, as in a cgroup.
// A negative one is the process group that a child leads.
func (n *nestedJob) signalChild(pid int, sig unix.Signal) error {
	if n.over && max(pid, -pid) == n.j.pid {
		return failure(protocol.CodeNoJob, "job", "the main process of job %d has ended; see \"all\"", n.j.number)
	}
	return n.ask(protocol.Request{PID: int32(pid), Signal: int32(sig)})
}

// ask sends a request, without waiting: EAGAIN is for the owner to see (-32003).
func (n *nestedJob) ask(r protocol.Request) error {
	_, err := unix.SendmsgN(n.events, protocol.AppendRequest(nil, r), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err == unix.EPIPE || err == unix.ECONNRESET {
		return nil // the nested supervisor has ended, or ends; the loop hears of it
	}
	return os.NewSyscallError("sendmsg", err)
}

// Record implements supervisor.Recorder: the record is the one that the nested supervisor
// has written about the job, with this loop's view of why it ended, as the nested one
// sees only its owner go. One that was killed has written nothing: its orphans are the
// server's children now, and are ended here.
func (n *nestedJob) Record(r *protocol.Record, _ bool) {
	j, cause := n.j, r.Cause
	if j.v.jobs[j.number] == nil { // its start has failed, which the answer to spawn told
		n.close()
		return
	}
	// Events that are still in the socket come before ended.
	for tries := 0; n.read() && tries < maxUnread; tries++ {
	}
	for n.readRecord() {
	}
	// Not into r: what a pointer in it points to, the pid, is the loop's.
	var told protocol.Record
	if err := protocol.Unmarshal(n.text, &told); err == nil {
		*r = told
	} else {
		r.PID, r.Exit, r.LeftoversTotal, r.Reaped, r.Main = &j.pid, nil, nil, 0, protocol.MainUsage{}
		r.Error = record.Optional("the supervisor of the job was killed, or crashed; the job is ended")
		if err := j.v.sweep(); err != nil {
			r.Error = record.Optional(cli.OneLine(err))
		}
	}
	n.close()
	n.text = nil
	// A timeout, or a kill by the owner, is known to this loop alone.
	if cause != protocol.CauseExited && cause != protocol.CauseSignaled {
		r.Cause = cause
	}
	r.Unenforced = append([]protocol.Unenforced{}, j.unenforced...)
}

// sweep ends all that is below the server and in no job. The supervisors of the other
// jobs are spared, and with them all that is below them.
func (v *server) sweep() error {
	tree := subreaper.Tree{Spare: append([]int{}, v.place.Tree.Spare...), Reap: v.s.CollectDead}
	for _, j := range v.jobs {
		tree.Spare = append(tree.Spare, j.loop.PID())
	}
	return tree.Kill()
}

// close closes both descriptors, once: Record and a start that fails may both call it.
func (n *nestedJob) close() {
	if n.events >= 0 {
		n.j.v.poller.Forget(n.events)
		n.j.v.poller.Forget(n.out)
		unix.Close(n.events)
		unix.Close(n.out)
		n.events = -1
	}
}

// Start implements supervisor.Containment. The nested supervisor needs no place of its
// own.
func (*nestedJob) Start(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	return guardian.Launch(path, argv, attr)
}

// Signal implements supervisor.Containment: the nested supervisor sends it to each
// process, all stopped meanwhile.
func (n *nestedJob) Signal(sig unix.Signal) error {
	return n.ask(protocol.Request{PID: nested.WholeJob, Signal: int32(sig)})
}

// Kill implements supervisor.Containment: the nested supervisor sees its owner go, and
// ends the job. To kill the supervisor instead would only set the job free.
func (n *nestedJob) Kill() error {
	unix.Shutdown(n.events, unix.SHUT_WR)
	return nil
}

// Empty implements supervisor.Containment. It is asked when the nested supervisor has
// ended, which it does as the last of its job.
func (*nestedJob) Empty() (bool, error) { return true, nil }
