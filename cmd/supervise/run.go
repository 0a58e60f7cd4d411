package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// run is "supervise run": one job, whose exit status becomes ours.
func run(args []string) int {
	o, err := parseRun(args)
	if err != nil {
		return usage(err)
	}
	if o.help {
		return help([]string{"run"})
	}
	out, err := openRecord(o.record)
	if err != nil {
		complain(fmt.Errorf("run: --record %s: %w", o.record, err))
		return exitFailure
	}
	if o.samplesFD, err = openSamples(o.samplesFile); err != nil {
		complain(fmt.Errorf("run: --samples %s: %w", o.samplesFile, err))
		return exitFailure
	}
	quiet = o.events >= 0 // stderr is the job's alone
	r := &runner{o: o, out: out, began: time.Now()}
	if o.linked != "" {
		if r.link, err = watchLinks(o.linked); err != nil {
			complain(fmt.Errorf("run: --while-linked %s: %w", o.linked, err))
			return exitFailure
		}
	}
	status := r.run()
	if o.guarded {
		unix.SendmsgN(o.owner, []byte{0}, nil, nil, unix.MSG_NOSIGNAL) // all was done that had to be
	}
	return status
}

// A runner carries one "supervise run" from the options to the exit status.
type runner struct {
	o        *runOptions
	out      *recordFile
	began    time.Time
	caught   *signals.Caught
	hold     *hold
	terminal *terminal
	link     *link // nil: none
	guarding bool  // the job is another supervise, which does what the options say

	ownerGone func() // nil: the job ends
}

func (r *runner) run() int {
	file, err := r.o.program, error(nil)
	if file == "" {
		file, err = lookPath(r.o.argv[0])
	}
	if err != nil {
		return r.startFailed(err)
	}
	if err := subreaper.Become(); err != nil {
		return r.startFailed(err)
	}
	if r.caught, err = signals.Catch(forwardedSignals); err != nil { // before there is anything to leave behind
		return r.startFailed(err)
	}
	if r.o.resources != "" {
		given, err := resources(r.o.resources)
		if err != nil {
			return r.startFailed(err)
		}
		r.o.limits = append(given, r.o.limits...) // of two for one file the flag counts
	}
	if r.hold, err = choose(r.o); err != nil {
		return r.startFailed(err)
	}
	if r.hold.session == nil && !r.o.noGuard {
		return r.guardedBySupervise()
	}
	result, err := r.supervise(file, r.o.argv, r.spec())
	if err != nil {
		return r.startFailed(err)
	}
	return r.finish(result)
}

// spec is what the options say about the job.
func (r *runner) spec() supervisor.Spec {
	s := supervisor.Spec{
		Leftovers: r.o.leftovers, Every: r.o.sampleEvery, Timeout: r.o.timeout, CPUTime: r.o.cpuTime,
		Signal: r.o.signal, Grace: r.o.grace, StopGrace: r.o.grace,
	}
	if r.o.graceSet {
		s.TermGrace = r.o.grace
	}
	return s
}

// supervise runs the job from start to end and gives the hold back. An error
// means that the job was not started.
func (r *runner) supervise(file string, argv []string, spec supervisor.Spec) (*supervisor.Result, error) {
	s := &supervisor.Supervisor{
		Signals: arriving{r.caught}, Forward: true, IsManager: isManager,
		Sweep: r.hold.tree.Kill, Strays: r.hold.tree.Procs, Watch: r.hold.watch, Idle: giveBackStartUp,
	}
	if r.o.marks >= 0 && !r.guarding {
		s.Inputs = []supervisor.Input{{FD: r.o.marks, Read: r.hold.marksReader(r.o.marks)}}
	}
	if r.link != nil && !r.guarding {
		s.Inputs = append(s.Inputs, r.link.input(func() { s.End(protocol.CauseOwnerGone, nil) }))
	}
	if r.hold.helper > 0 {
		s.Chore(r.hold.helper, func(bool) { r.hold.helper = 0 })
	}
	r.hold.tree.Reap = s.CollectDead
	r.terminal = findTerminal()
	spec.Path, spec.Argv, spec.Attr, s.Terminal = file, argv, r.attr(), r.terminal
	if r.o.owner >= 0 {
		s.Owner = &supervisor.Owner{In: r.o.owner, Out: -1, Mute: true, Gone: r.ownerGone}
	}
	if r.o.events >= 0 {
		s.Owner, s.Whole = &supervisor.Owner{In: r.o.events, Out: r.o.events, Usage: true}, true
	}
	if err := r.start(s, spec); err != nil {
		return nil, errors.Join(err, r.hold.Close())
	}
	if r.hold.session != nil {
		r.hold.session.RemoveStale() // while the job is on its way
		r.out.warmUp()
	}
	result := s.Run()[0]
	r.terminal.takeBack(result.Exit)
	return &result, nil
}

// start starts the guardian and the main process. A cgroup that cannot be joined
// is given up for the fallback, if that may be. A file that is executable but of
// no known format is a shell script, as it is for execvp(3).
func (r *runner) start(s *supervisor.Supervisor, spec supervisor.Spec) error {
	if !r.o.noGuard && !r.guarding {
		if err := r.hold.guard(); err != nil {
			return err
		}
	}
	spec.Containment = r.hold
	j, err := s.Start(spec)
	var join *cgroup.JoinError
	if errors.As(err, &join) && r.mayFallBack() {
		if err := r.hold.giveUp(join); err != nil {
			return err
		}
		j, err = s.Start(spec)
	}
	if err == unix.ENOEXEC {
		spec.Argv = append([]string{"sh", spec.Path}, spec.Argv[1:]...)
		spec.Path = "/bin/sh"
		j, err = s.Start(spec)
	}
	if err == nil && r.o.events >= 0 {
		tellStarted(r.o.events, j.PID(), nil)
	}
	return err
}

// mayFallBack says whether the job may be held without a cgroup.
func (r *runner) mayFallBack() bool {
	return r.o.contain == containAuto && r.o.cgroup == "" && len(r.hold.limits) == 0 && r.o.cpuTime == 0
}

// attr has the job inherit everything, in a process group of its own: what is
// typed at the terminal, or sent to our group, reaches it once.
func (r *runner) attr() *syscall.ProcAttr {
	sys := &syscall.SysProcAttr{Setpgid: true}
	if r.o.events >= 0 {
		sys = &syscall.SysProcAttr{Setsid: true} // as all jobs of serve
	}
	if r.terminal.eager {
		sys.Foreground, sys.Ctty = true, r.terminal.fd
	}
	return &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: sys}
}

// guardedBySupervise runs the job in a second supervise below this one. Without
// cgroups only an ancestor that is a subreaper can end what a killed supervisor
// leaves, so we become that ancestor; and the second one, whose owner we are,
// ends the job if we are killed.
func (r *runner) guardedBySupervise() int {
	r.guarding = true
	owner, ours, err := ownerSocket()
	if err != nil {
		return r.startFailed(err)
	}
	r.ownerGone = func() { unix.Shutdown(ours, unix.SHUT_WR) } // hand it on
	for _, fd := range []int{r.out.fd, r.o.samplesFD, r.o.marks} {
		if fd > 2 {
			unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0) // for the inner one
		}
	}
	argv := append([]string{"supervise", "run"}, r.o.flags...) // of a flag that is there twice the last one counts
	argv = append(argv, "--no-guard", "--contain="+containSubreaper, "--owner=fd:"+strconv.Itoa(owner),
		"--fallback-reason="+r.hold.reason, "--")
	result, err := r.supervise("/proc/self/exe", append(argv, r.o.argv...), supervisor.Spec{})
	unix.Close(owner)
	if err != nil {
		return r.startFailed(err)
	}
	if n, _, _ := unix.Recvfrom(ours, make([]byte, 1), unix.MSG_DONTWAIT); n != 1 && !r.diedOf(result) {
		complain(errors.New("the supervisor below this one was killed, or crashed; the job is ended"))
		return exitFailure
	}
	return r.status(result)
}

// diedOf says whether the supervisor below ended by a signal that was sent to both
// of us: as its job did (see dieOf), or before it caught any.
func (r *runner) diedOf(result *supervisor.Result) bool {
	e := result.Exit
	if e == nil || e.Code() == protocol.Exited {
		return false
	}
	return slices.Contains(fatalSignals, unix.Signal(e.Status()))
}

// ownerSocket returns an end that the inner supervise inherits, and ours, which
// closes when we die, and by which it says that it has done what had to be done.
func ownerSocket() (theirs, ours int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, os.NewSyscallError("socketpair", err)
	}
	_, err = unix.FcntlInt(uintptr(pair[0]), unix.F_SETFD, 0)
	return pair[0], pair[1], os.NewSyscallError("fcntl", err)
}

// finish delivers the record, then the exit status.
func (r *runner) finish(result *supervisor.Result) int {
	record := r.newRecord(result)
	if err := r.deliver(record); err != nil {
		complain(err)
		return exitFailure
	}
	if result.Err != nil {
		complain(result.Err)
		return exitFailure
	}
	return r.status(result)
}

// status turns a result into our exit status. At a terminal a job that was
// interrupted from the keyboard takes us, and the script we are in, along.
func (r *runner) status(result *supervisor.Result) int {
	if result.LeftoversTotal > 0 && r.o.leftovers == supervisor.Fail && !r.guarding {
		complain(leftoversError(result))
		return exitFailure
	}
	e := result.Exit
	switch {
	case result.Cause == protocol.CauseTimeout || result.Cause == protocol.CauseCPUTimeout:
		return exitTimeout
	case e == nil:
		return exitFailure
	case e.Code() == protocol.Exited:
		return e.Status()
	}
	if sig := unix.Signal(e.Status()); r.terminal.interrupted(sig) {
		dieOf(sig)
	}
	return exitSignal + e.Status()
}

func leftoversError(result *supervisor.Result) error {
	names := ""
	for _, l := range result.Leftovers {
		names += fmt.Sprintf(" %s (%d)", l.Comm, l.PID)
	}
	if more := result.LeftoversTotal - len(result.Leftovers); more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("the command left %d running, now killed:%s", result.LeftoversTotal, names)
}

// startFailed reports a job that never was.
func (r *runner) startFailed(err error) int {
	if r.o.events >= 0 {
		tellStarted(r.o.events, 0, err)
		return exitFailure
	}
	if e := r.deliver(r.failedRecord(err)); e != nil {
		err = errors.Join(err, e)
	}
	name := r.o.argv[0]
	switch {
	case isNotFound(err):
		complain(fmt.Errorf("%s: not found", name))
		return exitNotFound
	case isErrno(err):
		complain(fmt.Errorf("%s: cannot be executed: %w", name, err))
		return exitNotExecutable
	}
	complain(err)
	return exitFailure
}

// isNotFound says whether a program or its interpreter is missing. The errors of
// finding and executing are bare; ours are wrapped.
func isNotFound(err error) bool { return err == syscall.ENOENT || err == syscall.ENOTDIR }

// isErrno says whether an error is a bare errno: execve's.
func isErrno(err error) bool {
	_, ok := err.(syscall.Errno)
	return ok
}

// jobName is what the job's directory is named after; "": serve has no job yet.
func jobName(o *runOptions) string {
	switch {
	case o.command == "serve":
		return ""
	case o.name != "":
		return o.name
	}
	return path.Base(o.argv[0])
}
