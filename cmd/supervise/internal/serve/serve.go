// Package serve is "supervise serve": any number of jobs for one owner.
//
//	lines, end of input ──> request ──> methods ──┐
//	output, limits, pressure ── poller ───────────┼──> answers, notifications ──> owner
//	statuses, deadlines ── the loop ── jobs ──────┘
package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/resident"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/transient"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A server is "supervise serve": an owner's jobs, by the protocol of protocol/SERVE.md.
// The loop's goroutine does everything, but that it may have others read the counters of
// jobs while it waits for them.
//
// While the owner does not read, no request is read and no status is taken from the
// kernel.
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
	ownerFDs int          // descriptors for the owner's jobs are below: see checkDescriptorReserve
	legacy   map[int]bool // descriptors from 3 on that came with us
	version  string
	reported []string // controllers of the jobs

	phase phase
	jobs  map[int]*job    // by number
	dirs  map[string]*job // by the name of the cgroup
	last  int             // number
	waits int             // requests that wait for the end of a job

	waiting  []func() // what goes on when the owner reads again
	detached []string // cgroups of jobs that were let go

	shutters []json.RawMessage // requests that wait for the end of all
	failed   error             // what went wrong on our side
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

// Main serves an owner by the arguments behind "serve". It returns the exit status.
func Main(p *cli.Program, args []string) int {
	o, err := parse(args)
	if err != nil {
		return p.Usage(err)
	}
	if o.help {
		return p.Help("serve")
	}
	v := &server{program: *p, o: o, methods: methods(), jobs: map[int]*job{}, dirs: map[string]*job{}, version: p.Version()}
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

// open prepares everything; on an error nothing is left.
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
	if !v.o.NoGuard {
		if err := v.place.Guard(); err != nil {
			return errors.Join(err, v.place.Close())
		}
	}
	v.s = &supervisor.Supervisor{
		Signals: caught, Idle: v.idle, Tell: v.hear, Trace: v.o.Trace(),
		Serving: supervisor.Serving{
			More: v.more, Blocked: v.blocked, Attribute: v.attribute, Unreaped: v.unreaped, Account: v.readAccounts,
		},
		Inputs: []supervisor.Input{
			{FD: v.conn.InFD(), Read: v.read, Events: v.wantsInput},
			{FD: v.conn.OutFD(), Read: v.flush, Events: v.wantsOutput},
			{FD: v.poller.FD(), Read: v.poll},
		},
	}
	v.place.Connect(v.s)
	v.s.Sweep = v.sweepLast
	if session := v.place.Session(); session != nil {
		session.RemoveStale()
		v.reported = session.Controllers()
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
	return v.place.Close()
}

// more implements supervisor.Serving.
func (v *server) more() bool { return v.phase < over }

func (v *server) idle() {
	v.conn.Trim()
	resident.GiveBack()
}

func (v *server) blocked() bool { return v.conn.Blocked() }

// wantsInput: while nothing is read of the owner, its end is seen nevertheless. A
// hang-up is always told, so that once is enough.
func (v *server) wantsInput() int16 {
	switch {
	case v.phase == over || v.blocked() && v.phase == parting:
		return 0
	case v.blocked():
		return unix.POLLRDHUP
	}
	return unix.POLLIN
}

// wantsOutput: a hang-up of the reading end is always reported.
func (v *server) wantsOutput() int16 {
	if v.blocked() || len(v.waiting) > 0 || v.conn.HungUp() {
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
		v.phase = max(v.phase, parting)
		v.s.End(protocol.CauseOwnerGone, nil)
	}
	return v.phase < over
}

// requests carries out what was read, for as long as the answers are taken, and goes on
// when the owner reads again.
func (v *server) requests() {
	for v.phase < over {
		if v.blocked() {
			v.waiting = append(v.waiting, v.requests)
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
	v.phase = over
	v.s.End(cause, nil)
	v.answerShutters()
}

// answerShutters answers shutdown when there is no job any more, and that is the end.
func (v *server) answerShutters() {
	if len(v.jobs) > 0 {
		return
	}
	if v.phase == closing {
		v.phase = over
	}
	for _, id := range v.shutters {
		v.answer(id, struct{}{}, nil, nil)
	}
	v.shutters = nil
}

// signaled ends all jobs: the service manager's SIGTERM gives each its grace. One
// that comes when all have ended means not to wait for a silent owner either.
func (v *server) signaled(sig signals.Signal) {
	v.phase = over
	if len(v.jobs) == 0 {
		v.conn.HangUp()
		return
	}
	if sig.Signal != unix.SIGTERM || !transient.IsManager(sig.From) {
		v.finish(protocol.CauseKilled)
		return
	}
	for _, j := range v.all() {
		if j.loop.State() <= supervisor.Waiting {
			j.stop(protocol.CauseKilled, j.loop.Spec.Signal, j.loop.Grace)
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
// the owner waits for no answer, except to a line that was no request.
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
