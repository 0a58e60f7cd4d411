// Package serve is "supervise serve": any number of jobs for one owner.
//
//	lines, end of input ──> request ──> methods ──┐
//	output, limits, pressure ── poller ───────────┼──> answers, notifications ──> owner
//	statuses, deadlines ── the loop ── jobs ──────┘
//
// One goroutine, that of the loop (package supervisor), does all of this, and sleeps in
// the loop's poll(2) alone. Everything that is said to the owner goes through one Conn in
// the order of the calls, and on that rests the order that the protocol promises: the
// answer to spawn, started, output and exited, ended, the answers to wait, the answers to
// shutdown.
//
// An owner that does not read blocks the Conn. Then each source stops by itself: requests
// stay on the wire, statuses in the kernel, output with wait in the job's pipe, events of
// nested jobs in their sockets. Each leaves a function in waiting, which is called when
// there is room. Samples, pressure and output without wait are dropped instead, as late
// they are worth nothing. Signals, deadlines and the end of the input are heard in any
// case, and killing needs no room.
//
// The server ends by the end of input, by shutdown, by a signal, or when the owner can
// never read again. In each case all jobs end first, and every record is delivered to an
// owner that still reads.
package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/resident"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/transient"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A server is "supervise serve": the jobs of one owner, by the protocol of
// protocol/SERVE.md. Its state belongs to the goroutine of the loop, which calls all of
// its methods; so no method blocks, and no mutex is needed. Other goroutines only read
// the counters of jobs that end together, while the loop waits for them.
//
// While the owner does not read, no request is read and no status is taken from the
// kernel: requests stay on the wire, zombies in the kernel, and the memory of the server
// stays as it is. Killing and time limits go on.
type server struct {
	program  cli.Program
	o        *commandLine
	methods  map[string]method
	s        *supervisor.Supervisor
	place    *containment.Place
	conn     *wire.Conn
	out      int // descriptor by which we talk; 0 or 1
	poller   *wire.Poller
	events   *limitEvents // nil: the owner asked for none
	null     int          // /dev/null
	ownerFDs int          // all descriptors of jobs are below this number: see checkDescriptorReserve
	legacy   map[int]bool // descriptors from 3 on that the server inherited
	version  string
	reported []string // controllers of the jobs

	phase   phase
	jobs    map[int]*job    // by number
	dirs    map[string]*job // by the name of the cgroup
	starts  []*start        // under way, in the order of their requests
	putOff  *request        // until they are over; nil: none
	last    int             // number of the latest job
	waits   int             // requests that wait for the end of a job
	kept    int             // bytes of argv and tags of the jobs, and of ids of waits
	garbage int             // bytes of lines since it was last arranged that memory is given back

	archive archive // output of jobs that have ended
	timer   timer

	waiting  []func() // called when the owner reads again
	detached []string // cgroups of detached jobs, which the last sweep spares

	shutters []json.RawMessage // ids of the shutdown requests, answered when no job is left
	failed   error             // faults of the server itself, for the exit status
}

// A phase is how far the conversation has come. It only goes on:
//
//	greeting ── hello ──> serving ── shutdown ──> closing ── last job ended ──┐
//	    │                    │                       │                        v
//	    ├────────────────────┴───────────────────────┴── end of input ──────> over
//	    │                                                                     ^
//	    └── end of input, while answers are not taken ──> parting ── read ────┘
//
// A signal, or an owner that will never read, leads to over from any phase.
type phase int

const (
	greeting phase = iota // hello comes first
	serving
	closing // no more jobs; the end of the last one is the end
	parting // jobs are ended; requests that came before the end of input are still to be answered
	over    // no more requests
)

// Main serves an owner by the arguments behind "serve". It returns the exit status: 0 if
// everything was delivered, cli.ExitFailed if the owner hung up, cli.ExitFailure if the
// server itself is at fault. A job that fails changes nothing about it.
func Main(p *cli.Program, args []string) int {
	o, err := parse(args)
	if err != nil {
		return p.Usage(err)
	}
	if o.help {
		return p.Help("serve")
	}
	v := &server{program: *p, o: o, methods: methods(), jobs: map[int]*job{}, dirs: map[string]*job{}, version: p.Version()}
	v.archive.jobs, v.timer.v = map[int][]*kept{}, v
	status := make(chan int)
	go func() { // ends with the server
		runtime.LockOSThread()
		signals.TimerSlack()
		status <- v.main()
	}()
	return <-status
}

// main is the server's life. It is that of a thread of its own: the first thread sleeps, and
// is given the orphans, which are told from the main processes by that.
func (v *server) main() int {
	p := v.program
	if err := v.open(); err != nil {
		p.Complain(fmt.Errorf("serve: %w", err))
		return cli.ExitFailure
	}
	v.s.Run()
	if err := errors.Join(v.failed, v.close()); err != nil {
		p.Complain(err)
		return cli.ExitFailure
	}
	if v.conn.HungUp() {
		return cli.ExitFailed
	}
	return 0
}

// open prepares everything; on an error no cgroup and no guardian is left. Signals are
// caught before there is a cgroup that a SIGTERM would leave behind. The children from
// before are listed after this process has become a subreaper and before the guardian or
// a helper is started, so that the list holds no child of the server's own.
func (v *server) open() error {
	resident.ReserveThreads()
	if err := v.connect(); err != nil {
		return err
	}
	caught, err := signals.Catch(signals.Fatal)
	if err != nil {
		return err
	}
	if err := subreaper.Become(); err != nil {
		return err
	}
	inherited, err := subreaper.Inherited()
	if err != nil {
		return err
	}
	o := v.o.Containment(v.program.Complain)
	if v.place, err = containment.Choose(&o); err != nil {
		return err
	}
	v.place.Disown(inherited)
	v.place.MarkJobs()
	v.place.SeekStrays()
	if !v.o.NoGuard {
		if err := v.place.Guard(); err != nil {
			return errors.Join(err, v.place.Close())
		}
	}
	// With Tell set a signal is told as an event: its meaning depends on the sender.
	v.s = &supervisor.Supervisor{
		Signals: caught, IsManager: transient.IsManager, Idle: v.idle, Tell: v.hear, Trace: v.o.Trace(),
		Serving: supervisor.Serving{
			More: v.more, Blocked: v.blocked, Attribute: v.attribute, Strayed: v.strayed, Unreaped: v.unreaped, Account: v.readAccounts,
		},
		Inputs: []supervisor.Input{
			{FD: v.conn.InFD(), Read: v.read, Events: v.wantsInput},
			{FD: v.conn.OutFD(), Read: v.flush, Events: v.wantsOutput},
			{FD: v.poller.FD(), Read: v.poll},
		},
	}
	v.place.Connect(v.s)
	v.place.WatchGuardian(v.s)
	// Connect has set a sweep that knows nothing of detached jobs.
	v.s.Sweep = v.sweepLast
	// Sessions of supervisors that were killed together with their guardian may still be
	// there.
	if session := v.place.Session(); session != nil {
		session.HoldBelow(min(v.ownerFDs/2, heldFDs))
		session.RemoveStale()
		v.reported = session.Controllers()
	}
	return nil
}

// connect takes descriptors 0 and 1, or a socket that is both. The inherited descriptors
// are listed before the first one is opened here, so that only the owner's are among
// them.
func (v *server) connect() (err error) {
	if v.legacy, err = keepToOurselves(); err != nil {
		return err
	}
	v.out = 1
	// SO_TYPE is asked only to learn whether a descriptor is a socket: ENOTSOCK
	// otherwise.
	if _, err := unix.GetsockoptInt(0, unix.SOL_SOCKET, unix.SO_TYPE); err == nil {
		if _, err := unix.GetsockoptInt(1, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
			v.out = 0 // socket activation (Accept=yes) or inetd: descriptor 1 is the log
		}
	}
	if v.null, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("open "+os.DevNull, err)
	}
	if v.poller, err = wire.NewPoller(); err != nil {
		return err
	}
	v.ownerFDs = ownerFDs()
	v.conn, err = wire.NewConn(0, v.out, protocol.MaxRequest)
	if err == nil {
		// Descriptors that the owner sends without need must not use up the reserve.
		v.conn.MaxFD = v.ownerFDs
	}
	return err
}

// close gives back what open took, after the last job. Descriptors that came and belong
// to no request are closed with the connection; the place removes the session's cgroup
// and dismisses the guardian.
func (v *server) close() error {
	v.conn.Close()
	if v.events != nil {
		v.events.close()
	}
	return v.place.Close()
}

// more implements supervisor.Serving: the loop goes on without any job until the
// conversation is over, and what waited for room is said. The last flush of a batch may
// have made that room: then nothing is blocked any more, and yet not all is said.
func (v *server) more() bool {
	return v.phase < over || len(v.starts) > 0 || len(v.waiting) > 0 && !v.conn.HungUp()
}

// idle is called in a pause. It gives pages back to the kernel, for a server may sleep
// for days.
func (v *server) idle() {
	v.conn.Trim()
	guardian.Rest()
	resident.GiveBack()
}

// discarded counts the bytes of what was said, which are garbage now, or will be when they
// are sent. After many of them memory is given back in the next pause.
func (v *server) discarded(n int) {
	const many = 1 << 20
	if v.garbage += n; v.garbage >= many {
		v.garbage = 0
		v.s.Rest()
	}
}

// finish ends all jobs, now, and reads no further request. Their records are still
// delivered, and the answers to shutdown after the last of them.
func (v *server) finish(cause protocol.Cause) {
	v.phase = over
	v.s.End(cause, nil)
	v.answerShutters()
}

// answerShutters answers the shutdowns when no job is left; in closing that is the end.
// It is called after the end of each job, and by shutdown itself, for there may be no
// job.
func (v *server) answerShutters() {
	// The end of each job calls this again.
	if len(v.jobs) > 0 {
		return
	}
	if v.phase == closing {
		v.phase = over
	}
	if len(v.waiting) > 0 { // for room, with answers that come first
		v.waiting = append(v.waiting, v.answerShutters)
		return
	}
	for _, id := range v.take(&v.shutters) {
		v.answer(id, struct{}{}, nil, nil)
	}
}

// signaled ends all jobs. SIGTERM from the service manager is a stop of the unit, in
// which each job gets its own signal and grace; any other signal, and SIGTERM from any
// other process, kills. A signal after the last job means not to wait for a silent owner
// either: what it has not taken is dropped.
func (v *server) signaled(sig signals.Signal) {
	v.phase = over
	if len(v.jobs) == 0 {
		// Nothing else would ever end the wait for the owner.
		v.conn.HangUp()
		return
	}
	if sig.Signal != unix.SIGTERM || !transient.IsManager(sig.From) {
		v.finish(protocol.CauseKilled)
		return
	}
	// In the order of their numbers, so that two runs do the same.
	for _, j := range v.all() {
		if j.loop.State() <= supervisor.Waiting {
			j.stop(protocol.CauseKilled, j.loop.Spec.Signal, j.loop.Grace)
		}
	}
}
