// Package run is "supervise run": one job, whose exit status becomes supervise's own.
//
//	command line ──> record's file, link, samples' file ──> place (a cgroup, or the fallback)
//	    ──> guardian ──> main process ──> the loop ──> record ──> exit status
//
// Without a cgroup the guardian stands between supervise and the main process: see
// guardian.Foster.
package run

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/nested"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/resident"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/transient"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Main runs a job by the arguments behind "run". It returns the exit status: the job's,
// or one of supervise's own (124 and up, or 2 for a wrong command line; see package cli).
func Main(p *cli.Program, args []string) int {
	c, err := parse(args)
	if err != nil {
		return p.Usage(err)
	}
	if c.help {
		return p.Help("run")
	}
	if c.nested {
		resident.TakeName("supervise")
	}
	r := &runner{Program: *p, c: c, began: time.Now()}
	status := cli.ExitFailure
	if err := r.openFiles(); err != nil {
		r.Complain(r.deliverFailed(fmt.Errorf("run: %w", err)))
	} else {
		r.Quiet = c.events >= 0 // below a server stderr is the job's alone: errors go by the socket
		status = r.run()
	}
	return status
}

// A runner carries one "supervise run" from the command line to the exit status. What it
// opens lasts as long as the process, but for the place, which supervise gives back.
type runner struct {
	cli.Program
	c        *commandLine
	out      *recordFile
	samples  int // descriptor for samples; -1: none
	began    time.Time
	caught   *signals.Caught
	place    *containment.Place // nil: it did not come to that
	terminal *terminal
	job      *supervisor.Job // nil: not started
	progress *progress       // nil: it is not shown
	relay    *relay          // nil: the job has no terminal of its own
	link     *link           // nil: none
	parent   int             // pidfd of the process that started us; -1: it is not the owner
}

// openFiles opens what the command line names, before anything is started: an error costs
// nothing then. The parent is opened early for another reason: the longer it takes, the
// likelier is it that the parent has ended and an init has taken its place unnoticed.
func (r *runner) openFiles() (err error) {
	// Descriptors come first, before a file takes the number of one that is not open. The
	// record is opened in any case: it tells of other failures.
	if strings.HasPrefix(r.c.samplesFile, "fd:") {
		err = errors.Join(r.openSamples(), r.openRecord())
	} else if err = r.openRecord(); err == nil {
		err = r.openSamples()
	}
	if err != nil {
		return err
	}
	if r.parent, err = openParent(r.c.parent); err != nil {
		return fmt.Errorf("--owner parent: %w", err)
	}
	if r.c.linked != "" {
		if r.link, err = watchLinks(r.c.linked); err != nil {
			return fmt.Errorf("--while-linked %s: %w", r.c.linked, err)
		}
	}
	return nil
}

func (r *runner) openRecord() (err error) {
	if r.out, err = openRecord(r.c.record); err != nil {
		return fmt.Errorf("--record %s: %w", r.c.record, err)
	}
	return nil
}

func (r *runner) openSamples() (err error) {
	if r.samples, err = openSamples(r.c.samplesFile); err != nil {
		return fmt.Errorf("--samples %s: %w", r.c.samplesFile, err)
	}
	return nil
}

// run does one step after the other. The order matters: the command is looked up before
// there is a cgroup, for a mistyped name is the commonest error; this process is a
// subreaper before anything is started, and the children from before are listed before a
// helper is one; signals are caught before there is a place that a SIGTERM would leave
// behind.
func (r *runner) run() int {
	file, err := r.c.program, error(nil)
	if file == "" {
		file, err = program.LookPath(r.c.argv[0])
	}
	if err == nil {
		err = subreaper.Become()
	}
	var inherited []int
	if err == nil {
		inherited, err = subreaper.Inherited()
	}
	r.terminal = findTerminal(r.c, len(inherited) > 0)
	if err == nil {
		r.progress, err = openProgress(r)
		r.terminal.progress = r.progress
	}
	if err == nil { // before there is anything to leave behind
		r.caught, err = signals.Catch(r.terminal.caught())
	}
	if err == nil && r.c.pty {
		r.relay, err = openRelay(r.c)
	}
	if err == nil {
		err = r.take()
	}
	if err != nil {
		return r.startFailed(err)
	}
	// They are children, yet no job's: neither killed nor waited for.
	r.place.Disown(inherited)
	r.place.Announce()
	result, err := r.supervise(file, r.c.argv, r.spec())
	if err != nil {
		return r.startFailed(err)
	}
	return r.finish(result)
}

// take takes the place that the command line asks for: a cgroup with its limits, or the
// fallback. On an error no place is left.
func (r *runner) take() (err error) {
	c := r.c
	if c.resources != "" {
		given, err := resources(c.resources)
		if err != nil {
			return err
		}
		c.limits = append(given, c.limits...) // of two for one file the flag counts
	}
	o := c.Containment(r.Complain)
	o.Limits, o.BestEffort, o.Meter, o.Numbers = c.limits, c.bestEffort, c.cpuTime > 0, c.wantsNumbers() || c.leftovers == protocol.LeftoversWait
	if o.JobName = c.name; o.JobName == "" {
		o.JobName = path.Base(c.argv[0])
	}
	if o.Reason = c.reason; c.nested {
		o.Warn = nil // the server has said it
	}
	if r.place, err = containment.Choose(&o); err != nil {
		return err
	}
	r.forgo(o.Warn)
	if err = r.sample(); err != nil {
		err = errors.Join(err, r.place.Close())
	}
	return err
}

// forgo notes what was asked for and cannot be had without a cgroup. Limits are refused
// instead, and what --contain=subreaper excludes by the command line alone.
func (r *runner) forgo(warn func(error)) {
	if r.place.InCgroup() {
		return
	}
	var flags []string
	for _, f := range []struct {
		name string
		is   bool
	}{{"sample", r.c.sampleEvery > 0}, {"samples", r.c.samplesFile != ""}, {"marks", r.c.marks >= 0}} {
		if f.is {
			flags = append(flags, f.name)
		}
	}
	r.place.Forgo(errors.New(r.place.WhyNot()), warn, flags...)
}

// sample begins to sample the job, where that is asked for and can be. It is done before
// the start, so that the first reading is of an empty cgroup.
func (r *runner) sample() error {
	j := r.place.Job()
	if j == nil || !r.c.samples() {
		return nil
	}
	if err := j.StartSamples(); err != nil {
		return err
	}
	j.Samples.ReadMarksFrom(r.c.marks)
	if r.samples >= 0 {
		j.Samples.WriteTo(r.samples)
	}
	return nil
}

// spec is what the options say about the job. SIGTERM from the service manager starts the
// grace period in any case; from other processes it is handed on like any signal, unless
// --grace was given.
func (r *runner) spec() supervisor.Spec {
	c := r.c
	s := supervisor.Spec{
		Leftovers: c.leftovers, Every: c.sampleEvery, Timeout: c.timeout, CPUTime: c.cpuTime,
		Signal: c.signal, Grace: c.grace, StopGrace: c.grace,
	}
	if c.graceSet {
		s.TermGrace = c.grace
	}
	return s
}

// supervise runs the job from start to end. An error means that the job was not started;
// the place has been given back then. The record of the one job is the result.
func (r *runner) supervise(file string, argv []string, spec supervisor.Spec) (*protocol.Record, error) {
	// Strays finds what has moved out of the job's cgroup: it is listed in the record,
	// and waited for with --leftovers=wait.
	s := &supervisor.Supervisor{
		Signals: r.caught, Forward: true, IsManager: transient.IsManager,
		Strays: r.place.Tree.Procs, Idle: resident.GiveBackStartUp,
	}
	r.place.Connect(s)
	if r.parent >= 0 {
		s.Inputs = append(s.Inputs, r.parentInput(s))
	}
	if r.relay != nil {
		r.relay.connect(s, r.caught)
	}
	r.addInputs(s)
	s.Trace = r.c.Trace()
	if r.c.wantsNumbers() {
		r.place.CountAround()
	}
	if err := r.progress.connect(s); err != nil {
		return nil, errors.Join(err, r.place.Close())
	}
	spec.Path, spec.Argv, spec.Attr = file, argv, r.attr()
	if s.Terminal == nil {
		s.Terminal = r.terminal
	}
	if r.c.owner >= 0 {
		s.Owner = &supervisor.Owner{In: r.c.owner, Out: -1, Mute: true}
	}
	// A server is the owner here: it gets events, and its requests go to the whole job.
	if r.c.events >= 0 {
		s.Owner, s.Whole = &supervisor.Owner{In: r.c.events, Out: r.c.events, Encode: nested.EncodeEvent}, true
	}
	if err := r.start(s, spec); err != nil {
		if e := r.place.Close(); e != nil {
			err = errors.Join(err, e)
		}
		return nil, err // a bare errno stays one
	}
	if session := r.place.Session(); session != nil {
		// Both take time for which the start of the job need not wait.
		session.RemoveStale() // while the job is on its way
		r.out.warmUp()
	}
	if r.relay != nil {
		r.relay.makeRaw()
	}
	result := s.Run()[0]
	r.progress.erase()
	if r.relay != nil {
		r.relay.finish(r.job.EndedByForce())
	} else {
		r.terminal.takeBack(r.job)
	}
	return result, nil
}

// addInputs has the loop read marks and watch the link. Without a cgroup marks are read
// and dropped.
func (r *runner) addInputs(s *supervisor.Supervisor) {
	if marks := r.c.marks; marks >= 0 {
		read := func() bool { return record.DropMarks(marks) }
		if j := r.place.Job(); j != nil && j.Samples != nil {
			read = j.Samples.ReadMarks
		}
		s.Inputs = append(s.Inputs, supervisor.Input{FD: marks, Read: read})
	}
	if r.link != nil {
		s.Inputs = append(s.Inputs, r.link.input(func() { s.End(protocol.CauseOwnerGone, nil) }))
	}
}

// start starts the guardian and the main process. A cgroup that cannot be joined is given
// up for the fallback, if that may be: clone3(2) into a cgroup, and a write to
// cgroup.procs, may be refused though the directory could be made. The guardian is forked
// as late as it can be: a page that is written after the fork is copied.
func (r *runner) start(s *supervisor.Supervisor, spec supervisor.Spec) error {
	if !r.c.NoGuard {
		r.place.Foster(s)
		r.place.MarkJobs()
		if err := r.place.Guard(); err != nil {
			return err
		}
		r.place.WatchGuardian(s)
	}
	spec.Containment = r.place
	s.Early = r.terminal.early(r.caught)
	j, err := s.StartProgram(spec)
	// Nothing was started: the error is about the place, not about the program.
	var join *cgroup.JoinError
	if errors.As(err, &join) && r.mayFallBack() {
		if err := r.place.GiveUp(join); err != nil {
			return err
		}
		r.forgo(r.Complain)
		j, err = s.StartProgram(spec)
	}
	if err != nil {
		return err
	}
	r.job = j
	if r.c.events >= 0 {
		err = letGo(r.c.events) // first, as the owner may do something to them when it hears of the start
		nested.TellStarted(r.c.events, j.PID(), nil)
	}
	return err
}

// letGo closes the job's descriptors, below a number, that this process was started with: a
// reader of what the job writes is to see the end when the job closes it, and not later. Standard
// error stays, for what there is to complain of.
func letGo(below int) error {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open "+os.DevNull, err)
	}
	defer unix.Close(null)
	for fd := range below {
		if fd != 2 {
			unix.Dup3(null, fd, unix.O_CLOEXEC)
		}
	}
	return nil
}

// mayFallBack says whether the job may be held without a cgroup: not if the user named
// one, or asked for what only a cgroup can give. Limits are never dropped silently.
func (r *runner) mayFallBack() bool {
	return r.c.Contain == containment.Auto && r.c.Cgroup == "" && len(r.c.limits) == 0 && r.c.cpuTime == 0
}

// attr has the job inherit everything, in a process group of its own, so that a signal to
// supervise's group reaches it once; or in that which terminal says. Foreground has the
// child itself take the terminal before execve, so that a job that reads at once is not
// stopped by SIGTTIN.
func (r *runner) attr() *syscall.ProcAttr {
	sys, t := &syscall.SysProcAttr{Setpgid: true}, r.terminal
	files := []uintptr{0, 1, 2}
	switch {
	case r.relay != nil:
		slave := uintptr(r.relay.slave)
		sys, files = &syscall.SysProcAttr{Setsid: true, Setctty: true}, []uintptr{slave, slave, slave}
	case r.c.events >= 0:
		sys = &syscall.SysProcAttr{Setsid: true, Setctty: r.c.tty >= 0, Ctty: max(0, r.c.tty)} // as all jobs of serve
	case t.eager:
		sys.Foreground, sys.Ctty = true, t.fd
	case t.shared:
		sys.Setpgid = false
	}
	return &syscall.ProcAttr{Env: os.Environ(), Files: files, Sys: sys}
}
