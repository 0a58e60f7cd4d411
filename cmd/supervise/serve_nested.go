package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A nested supervisor holds a served job where there are no cgroups: as subreaper,
// so that the job's orphans stay with it. It is "supervise run --events", and talks
// the binary protocol over a SOCK_SEQPACKET socket:
//
//	first message:  int32 pid of the main process, int32 errno if it could not be started
//	the others:     protocol.Event, and the rusage of a process that has ended
//	from us:        protocol.Request; pid -1 is every process; the end of it ends the job
//
// The record comes by a pipe.
type nested struct {
	j      *servedJob
	events int // our end of the socket; -1: closed
	out    int // the record
	over   bool
}

// nestedLimit bounds the start of a program that is our own.
const nestedLimit = 10 * time.Second

// wholeJob is the pid of a request that is for every process of a job.
const wholeJob = -1

// startNested starts the job below a supervisor of its own.
func (j *servedJob) startNested(p *plan) error {
	if _, j.unenforced, _ = j.limit(p.limits, true); p.spec.Every > 0 {
		return errors.ErrUnsupported
	}
	theirs, err := j.openNested()
	if err != nil {
		return err
	}
	defer unix.Close(theirs[0])
	defer unix.Close(theirs[1])
	n := j.nested
	if err := j.v.room(); err != nil {
		n.close()
		return err
	}
	spec := p.spec
	spec.Argv, spec.Path = n.command(p), "/proc/self/exe"
	files := append(p.files, uintptr(theirs[0]), uintptr(theirs[1]))
	attr := *spec.Attr
	attr.Files, spec.Attr = files, &attr
	spec.Containment, spec.Nested, spec.Leftovers = nestedHold{n}, true, supervisor.Kill
	if j.job, err = j.v.s.Start(spec); err != nil {
		n.close()
		return err
	}
	if j.pid, err = n.started(); err != nil {
		n.over = true // of which ended will not tell
		unix.Shutdown(n.events, unix.SHUT_WR)
	}
	return err
}

// openNested opens the connections; the other ends are the nested supervisor's.
func (j *servedJob) openNested() (theirs [2]int, err error) {
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
	unix.SetNonblock(r, true)
	j.nested = &nested{j: j, events: pair[0], out: r}
	return [2]int{pair[1], w}, nil
}

// command is that of the nested supervisor, which gets its connections behind the
// job's descriptors.
func (n *nested) command(p *plan) []string {
	leftovers := map[supervisor.Leftovers]string{supervisor.Kill: "kill", supervisor.Wait: "wait", supervisor.Fail: "fail"}
	fd := len(p.files)
	argv := []string{
		"supervise", "run", "--no-guard", "--contain=" + containSubreaper, "--fallback-reason=" + n.j.v.hold.reason,
		"--events=fd:" + strconv.Itoa(fd), "--record=fd:" + strconv.Itoa(fd+1), "--program=" + p.spec.Path,
		"--name=" + p.Name, "--leftovers=" + leftovers[p.spec.Leftovers], "--",
	}
	return append(argv, p.Argv...)
}

// started waits for the first message: the pid of the main process, or why there is
// none.
func (n *nested) started() (pid int, err error) {
	var first [8]byte
	deadline := time.Now().Add(nestedLimit)
	for {
		fds := []unix.PollFd{{Fd: int32(n.events), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds())); err == unix.EINTR && time.Now().Before(deadline) {
			continue
		}
		break
	}
	size, _, err := unix.Recvfrom(n.events, first[:], unix.MSG_DONTWAIT)
	if err != nil || size != len(first) {
		return 0, errors.New("the supervisor of the job did not start")
	}
	if errno := binary.NativeEndian.Uint32(first[4:]); errno != 0 {
		return 0, syscall.Errno(errno)
	}
	return int(binary.NativeEndian.Uint32(first[:])), nil
}

// tellStarted is the other side of started; the error is a bare errno where the
// command could not be executed.
func tellStarted(fd, pid int, err error) {
	var first [8]byte
	errno := unix.EIO
	if errors.As(err, &errno); err != nil {
		binary.NativeEndian.PutUint32(first[4:], uint32(errno))
	}
	binary.NativeEndian.PutUint32(first[:], uint32(pid))
	unix.SendmsgN(fd, first[:], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
}

// listen begins to read events, or goes on.
func (n *nested) listen() {
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

// read takes an event and tells it; more says that there may be another.
func (n *nested) read() (more bool) {
	var b [protocol.EventSize + supervisor.UsageSize]byte
	size, _, err := unix.Recvfrom(n.events, b[:], unix.MSG_DONTWAIT)
	if err == unix.EAGAIN || err == unix.EINTR {
		return err == unix.EINTR
	}
	e, bad := protocol.ParseEvent(b[:min(max(size, 0), protocol.EventSize)])
	if err != nil || size < len(b) || bad != nil {
		n.j.v.poller.Watch(n.events, 0, nil)
		return false
	}
	main := e.PID() == n.j.pid
	n.over = n.over || main && e.Code().Ended()
	if main || n.j.descendants {
		n.j.tellStatus(e, supervisor.ParseUsage(b[protocol.EventSize:]), main)
	}
	return true
}

// signal sends a signal to a child of the nested supervisor.
func (n *nested) signal(pid int, sig unix.Signal) error {
	if n.over && pid == n.j.pid {
		return failure(protocol.CodeNoJob, "job", "the main process of job %d has ended; see \"all\"", n.j.number)
	}
	return n.ask(protocol.Request{PID: int32(pid), Signal: int32(sig)})
}

func (n *nested) ask(r protocol.Request) error {
	_, err := unix.SendmsgN(n.events, protocol.AppendRequest(nil, r), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err == unix.EPIPE || err == unix.ECONNRESET {
		return nil // it is on its way out
	}
	return os.NewSyscallError("sendmsg", err)
}

// finish returns what the nested supervisor has written about the job, with our
// view of why it ended. One that was killed has written nothing: what it has left
// is ended.
func (n *nested) finish(result *supervisor.Result) *protocol.Record {
	for n.read() {
	}
	j := n.j
	b := readRest(n.out)
	n.close()
	record := emptyRecord(j.name, j.argv, result.Started)
	if err := json.Unmarshal(b, record); err != nil {
		setResult(record, result)
		record.PID, record.Exit, record.LeftoversTotal, record.Reaped = &j.pid, nil, nil, 0
		record.Error = optional("the supervisor of the job was killed, or crashed; the job is ended")
		if err := j.v.sweep(); err != nil {
			record.Error = optional(oneLine(err))
		}
	}
	record.Version = j.v.version
	if result.Cause != protocol.CauseExited && result.Cause != protocol.CauseSignaled {
		record.Cause = result.Cause
	}
	record.Unenforced = append([]protocol.Unenforced{}, j.unenforced...)
	return record
}

// sweep ends what is below us and in no job.
func (v *server) sweep() error {
	tree := subreaper.Tree{Spare: append([]int{}, v.hold.tree.Spare...), Reap: v.s.CollectDead}
	for _, j := range v.jobs {
		tree.Spare = append(tree.Spare, j.job.PID())
	}
	return tree.Kill()
}

func (n *nested) close() {
	if n.events >= 0 {
		n.j.v.poller.Forget(n.events)
		unix.Close(n.events)
		unix.Close(n.out)
		n.events = -1
	}
}

// A nestedHold is the containment of a nested job.
type nestedHold struct{ *nested }

// Start implements supervisor.Containment.
func (nestedHold) Start(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	return syscall.ForkExec(path, argv, attr)
}

// Signal implements supervisor.Containment.
func (h nestedHold) Signal(sig unix.Signal) error {
	return h.ask(protocol.Request{PID: wholeJob, Signal: int32(sig)})
}

// Kill implements supervisor.Containment: the nested supervisor sees its owner go.
func (h nestedHold) Kill() error {
	unix.Shutdown(h.events, unix.SHUT_WR)
	return nil
}

// Empty implements supervisor.Containment. It is asked when the nested supervisor has
// ended, and that is the last of its job.
func (nestedHold) Empty() (bool, error) { return true, nil }
