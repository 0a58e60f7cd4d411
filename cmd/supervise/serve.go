package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A server is "supervise serve": an owner's jobs, by the protocol of
// protocol/SERVE.md. The supervisor's goroutine does everything, but that it may have
// others read the counters of jobs while it waits for them:
//
//	lines, end of input ──> request ──> methods ──┐
//	output, limits, pressure ── poller ───────────┼──> answers, notifications ──> owner
//	statuses, deadlines ── supervisor ── jobs ────┘
//
// While the owner does not read, nothing more is read of it and no status is taken
// from the kernel.
type server struct {
	o        *runOptions
	methods  map[string]method
	s        *supervisor.Supervisor
	hold     *hold
	conn     *wire.Conn
	out      int // descriptor by which we talk; 0 or 1
	poller   *wire.Poller
	events   *limitEvents // nil: nobody asked for any
	null     int          // /dev/null
	ownerFDs int          // what is opened for the owner is below: see room
	legacy   map[int]bool // descriptors from 3 on that came with us
	version  string
	reported []string // controllers of the jobs

	jobs  map[int]*servedJob    // by number
	dirs  map[string]*servedJob // by the name of the cgroup
	last  int                   // number
	waits int                   // requests that wait for the end of a job

	waiting  []func() // what goes on when the owner reads again
	detached []string // cgroups of jobs that were let go

	greeted  bool
	closing  bool              // the end of the last job is the end
	gone     bool              // the owner has said all it will, of which not all was read
	stalled  bool              // requests were read that wait for the owner to read
	over     bool              // no more requests, no more jobs
	shutters []json.RawMessage // requests that wait for the end of all
	failed   error             // what went wrong on our side
}

// serve runs the conversation on descriptors 0 and 1, or on a socket that is
// descriptor 0.
func serve(args []string) int {
	o, err := parseServe(args)
	if err != nil {
		return usage(err)
	}
	if o.help {
		return help([]string{"serve"})
	}
	v := &server{o: o, methods: methods(), jobs: map[int]*servedJob{}, dirs: map[string]*servedJob{}, version: version()}
	if err := v.open(); err != nil {
		complain(fmt.Errorf("serve: %w", err))
		return exitFailure
	}
	v.s.Run()
	if err := errors.Join(v.failed, v.close()); err != nil {
		complain(err)
		return exitFailure
	}
	if v.conn.HungUp() {
		return exitRubbish
	}
	return 0
}

// open prepares everything; on an error nothing is left.
func (v *server) open() error {
	reserveThreads()
	if err := v.connect(); err != nil {
		return err
	}
	caught, err := signals.Catch(fatalSignals)
	if err != nil {
		return err
	}
	if err := subreaper.Become(); err != nil {
		return err
	}
	if v.hold, err = choose(v.o); err != nil {
		return err
	}
	if v.hold.session != nil && !v.o.noGuard {
		if err := v.hold.guard(); err != nil {
			return errors.Join(err, v.hold.Close())
		}
	}
	v.s = &supervisor.Supervisor{
		Signals: arriving{caught}, Idle: v.idle, Watch: v.watch, Sweep: v.sweepLast,
		Serving: supervisor.Serving{
			More: v.more, Blocked: v.blocked, Flush: v.conn.Flush, Told: v.told, Attribute: v.attribute, Unreaped: v.unreaped,
			Account: v.account, Signaled: v.signaled,
		},
		Inputs: []supervisor.Input{
			{FD: v.conn.InFD(), Read: v.read, Events: v.wantsInput},
			{FD: v.conn.OutFD(), Read: v.flush, Events: v.wantsOutput},
			{FD: v.poller.FD(), Read: v.poll},
		},
	}
	v.hold.tree.Reap = v.s.CollectDead
	if v.hold.helper > 0 {
		v.s.Chore(v.hold.helper, func(bool) { v.hold.helper = 0 })
	}
	if v.hold.session != nil {
		v.s.KillAll = v.hold.session.Kill
		v.hold.session.RemoveStale()
		v.reported = v.hold.session.Controllers()
	}
	return nil
}

// connect takes descriptors 0 and 1, or a socket that is both.
func (v *server) connect() (err error) {
	if v.legacy, err = keepToOurselves(); err != nil {
		return err
	}
	v.out = 1
	if _, err := unix.GetsockoptInt(0, unix.SOL_SOCKET, unix.SO_TYPE); err == nil {
		if _, err := unix.GetsockoptInt(1, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
			v.out = 0 // socket activation, or inetd: only one is told
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
		v.conn.MaxFD = v.ownerFDs
	}
	return err
}

func (v *server) close() error {
	v.conn.Close()
	if v.events != nil {
		v.events.close()
	}
	return v.hold.Close()
}

// more implements supervisor.Serving.
func (v *server) more() bool { return !v.over }

func (v *server) idle() {
	v.conn.Trim()
	giveBack()
}

func (v *server) blocked() bool { return v.conn.Blocked() }

// wantsInput: while nothing is read of the owner, its end is seen nevertheless. A
// hang-up is always told, so that once is enough.
func (v *server) wantsInput() int16 {
	switch {
	case v.over || v.blocked() && v.gone:
		return 0
	case v.blocked():
		return unix.POLLRDHUP
	}
	return unix.POLLIN
}

// wantsOutput: that nobody will ever read is always told.
func (v *server) wantsOutput() int16 {
	if v.blocked() || v.stalled || len(v.waiting) > 0 || v.conn.HungUp() {
		return unix.POLLOUT
	}
	return unix.POLLERR
}

// flush goes on sending, and then with what was read already. An owner that will
// never read has gone.
func (v *server) flush() bool {
	if v.conn.Flush(); v.conn.Deaf() {
		v.finish(protocol.CauseOwnerGone)
		return false
	}
	if !v.blocked() {
		v.resume()
		v.requests()
	}
	return true
}

func (v *server) poll() bool {
	v.poller.Dispatch()
	return true
}

// read takes requests. The end of input is the end of all jobs, also while the
// answers are not taken and so nothing is read: what was said before the end is then
// answered later.
func (v *server) read() bool {
	var end bool
	if v.blocked() {
		end = v.conn.Mute()
	} else {
		end = v.conn.Read()
		v.requests()
	}
	switch {
	case end && !v.blocked():
		v.finish(protocol.CauseOwnerGone)
	case end:
		v.gone = true
		v.s.End(protocol.CauseOwnerGone, nil)
	}
	return !v.over
}

// requests carries out what was read, for as long as the answers are taken.
func (v *server) requests() {
	for v.stalled = false; !v.over; {
		if v.stalled = v.blocked(); v.stalled {
			return
		}
		line, tooLong, ok := v.conn.Next()
		switch {
		case !ok:
			return
		case tooLong:
			v.answer(nil, nil, &protocol.Error{Code: protocol.CodeTooLong, Message: fmt.Sprintf("the line is longer than %d bytes", protocol.MaxRequest)}, nil)
		case len(line) > 0:
			v.request(line)
		}
		v.conn.Flush()
	}
}

// finish ends all jobs, now.
func (v *server) finish(cause protocol.Cause) {
	v.over = true
	v.s.End(cause, nil)
	v.answerShutters()
}

// answerShutters answers shutdown when there is no job any more, and that is the end.
func (v *server) answerShutters() {
	if len(v.jobs) > 0 {
		return
	}
	v.over = v.over || v.closing
	for _, id := range v.shutters {
		v.answer(id, struct{}{}, nil, nil)
	}
	v.shutters = nil
}

// signaled ends all jobs: the service manager's SIGTERM gives each its grace. One
// that comes when all have ended means not to wait for a silent owner either.
func (v *server) signaled(sig supervisor.Signal) {
	v.over = true
	if len(v.jobs) == 0 {
		v.conn.HangUp()
		return
	}
	if sig.Signal != unix.SIGTERM || sig.From == 0 || !isManager(sig.From) {
		v.finish(protocol.CauseKilled)
		return
	}
	for _, j := range v.all() {
		if j.job.State() <= supervisor.Waiting {
			j.stop(protocol.CauseKilled, j.job.Spec.Signal, j.job.Grace)
		}
	}
}

// notify tells the owner something. What it marshals cannot fail.
func (v *server) notify(method string, params any) {
	line, err := json.Marshal(note{"2.0", method, params})
	if err != nil {
		v.failed = errors.Join(v.failed, err)
		return
	}
	v.conn.Send(line, nil)
}

type note struct {
	JSONRPC string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// answer answers a request; descriptors, which it closes, go along. Without an id
// nobody waits for an answer, but for that to something that was no request.
func (v *server) answer(id json.RawMessage, result any, failure *protocol.Error, fds []int) {
	r := response{JSONRPC: "2.0", ID: id, Error: failure}
	if id == nil {
		r.ID = json.RawMessage("null")
	}
	if failure == nil {
		r.Result = result
	}
	line, err := json.Marshal(r)
	if err != nil {
		v.failed = errors.Join(v.failed, err)
		wire.CloseAll(fds)
		return
	}
	v.conn.Send(line, fds)
}

type response struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *protocol.Error `json:"error,omitempty"`
}

func now() protocol.Time { return protocol.Time{Time: time.Now()} }
