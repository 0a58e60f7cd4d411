package run

import (
	"errors"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/nested"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// guardedBySupervise runs the job in a second supervise below this one. Without cgroups
// only an ancestor that is a subreaper can end what a killed supervisor leaves, so this
// process becomes that ancestor; and the second one, whose owner it is, ends the job if
// this one is killed. Both killed at once is the case that is left.
func (r *runner) guardedBySupervise() int {
	r.guarding, r.terminal.guarding = true, true
	owner, ours, err := ownerSocket()
	if err != nil {
		return r.startFailed(err)
	}
	r.ownerGone = func() { unix.Shutdown(ours, unix.SHUT_WR) } // the owner's end is handed on: the inner supervise ends the job, and writes the record
	for _, fd := range []int{r.out.fd, r.samples, r.c.marks, r.c.TraceFD} {
		if fd > 2 {
			unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0) // the inner supervise opens it by the same number
		}
	}
	// The flags go on as they were written: the inner supervise reads them anew.
	flags := r.c.given
	if r.relay != nil {
		unix.FcntlInt(uintptr(r.relay.slave), unix.F_SETFD, 0)
		flags = append(flags, "--slave=fd:"+strconv.Itoa(r.relay.slave))
		r.inner = ours
	}
	argv := nested.Guarded(flags, owner, r.terminal.sharedGroup(), r.place.Reason(), r.c.argv)
	result, err := r.supervise(nested.Exe, argv, supervisor.Spec{})
	unix.Close(owner)
	if err != nil {
		return r.startFailed(err)
	}
	// One byte says that the inner supervise came to its end. Without it the inner one
	// was killed, the loop here has swept up its job, and no record was written. One that
	// has ended by package fatal has said why.
	if e := result.Exit; e != nil && e.Code != nil && *e.Code == cli.ExitFailure {
		return cli.ExitFailure
	}
	if n, _, _ := unix.Recvfrom(ours, make([]byte, 1), unix.MSG_DONTWAIT); n != 1 && !diedOfSignal(result) {
		r.Complain(errors.New("the supervisor below this one was killed, or crashed; the job is ended"))
		return cli.ExitFailure
	}
	return r.status(result)
}

// What the inner supervise says of a job with a terminal by its owner's socket: the job is
// over. The answer is any byte.
const (
	sayOver   = 1
	sayForced = 2 // and was ended by force
)

// innerInput waits for that, and shows all of the job's output before the inner supervise
// goes on, which then writes its record and what it has to complain about. Its last byte
// stays where it is.
func (r *runner) innerInput() supervisor.Input {
	return supervisor.Input{FD: r.inner, Read: func() (more bool) {
		var b [1]byte
		n, _, err := unix.Recvfrom(r.inner, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if n != 1 || b[0] == 0 {
			return err == unix.EAGAIN || err == unix.EINTR
		}
		unix.Recvfrom(r.inner, b[:], unix.MSG_DONTWAIT)
		r.relay.finish(b[0] == sayForced)
		unix.SendmsgN(r.inner, b[:], nil, nil, unix.MSG_NOSIGNAL)
		return false
	}}
}

// awaitShown waits until the supervise above has shown all of the job's output, or is gone.
func (r *runner) awaitShown() {
	say := []byte{sayOver}
	if r.job.EndedByForce() {
		say[0] = sayForced
	}
	if _, err := unix.SendmsgN(r.c.owner, say, nil, nil, unix.MSG_NOSIGNAL); err != nil {
		return
	}
	for {
		if _, _, err := unix.Recvfrom(r.c.owner, say, 0); err != unix.EINTR {
			return
		}
	}
}

// diedOfSignal says whether the supervisor below ended by a signal that was sent to both
// processes: as its job did (see signals.DieOf), or before it caught any. Then it is no
// crash.
func diedOfSignal(result *protocol.Record) bool {
	e := result.Exit
	if e == nil || e.Signal == nil {
		return false
	}
	return slices.Contains(signals.Fatal, signals.Number(*e.Signal))
}

// ownerSocket returns an end that the inner supervise inherits, and ours, which the
// kernel closes when this process dies. By the same socket the inner one says that it has
// finished. Both are the caller's.
func ownerSocket() (theirs, ours int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, os.NewSyscallError("socketpair", err)
	}
	_, err = unix.FcntlInt(uintptr(pair[0]), unix.F_SETFD, 0)
	return pair[0], pair[1], os.NewSyscallError("fcntl", err)
}
