// Package binary is supervise without arguments: the seed's binary protocol on
// descriptors 0 and 1 (see package protocol for its bytes). The job is the children that
// exist already, and all that they start. The text protocol of the seed's first versions is
// the same, with a command that is started here.
package binary

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/fatal"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/resident"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/transient"
)

// Main speaks the protocol until nothing of the job is left. It returns the exit status.
func Main(p *cli.Program) int {
	return hold(p, &supervisor.Owner{In: 0, Out: 1}, func(*containment.Place) (status int) { return 0 })
}

// hold holds the children that exist already, and what begin starts, until nothing is left.
// Begin says why it could not, and returns an exit status other than 0 then.
func hold(p *cli.Program, owner *supervisor.Owner, begin func(*containment.Place) (status int)) int {
	err := subreaper.Become()
	var caught *signals.Caught
	if err == nil {
		caught, err = signals.Catch(signals.Fatal)
	}
	if err == nil {
		err = roomFor(neededFDs)
	}
	if err != nil {
		p.Complain(err)
		return abandon()
	}
	place := containment.Fallback("")
	if status := begin(place); status != 0 {
		abandon()
		return status
	}
	s := &supervisor.Supervisor{
		Owner: owner, Signals: caught, IsManager: transient.IsManager, Idle: resident.GiveBackStartUp,
	}
	place.Announce()
	place.Connect(s)
	reap := place.Tree.Reap
	place.Tree.Over = owner.HasHungUp
	place.Tree.Reap = nil // not before all is set up: an owner that hears of an end may think that supervise is there
	(&move{program: p, s: s, place: place}).begin()
	place.Tree.Reap = reap
	s.Start(supervisor.Spec{Containment: place}) // cannot fail: there is no process to start
	record := s.Run()[0]
	if times, first := owner.Decoder.Ignored(); times > 0 {
		p.Complain(fmt.Errorf("requests that mean nothing, ignored: %d; the first: %w", times, first))
	}
	if record.Error != nil {
		p.Complain(errors.New(*record.Error))
		abandon()
		return cli.ExitFailed
	}
	return 0
}

// neededFDs is how many descriptors may be taken, in a cgroup or without, until the job can
// be ended. There is no way back from there on: the children exist, and are to be held.
const neededFDs = 16

// roomFor says whether so many descriptors can be opened.
func roomFor(n int) (err error) {
	var fds []int
	for len(fds) < n && err == nil {
		var fd int
		if fd, err = unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			fds = append(fds, fd)
		}
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	if err == unix.EBADF { // no owner: the loop sees that
		err = nil
	}
	return os.NewSyscallError("fcntl", err)
}

// abandon ends the children where they cannot be held, as nothing is to outlive us. What
// cannot be looked for, for want of descriptors say, is killed one by one. It returns the
// exit status.
func abandon() int {
	subreaper.Abandon()
	fatal.EndChildren()
	return cli.ExitFailure
}
