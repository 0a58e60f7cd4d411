package binary

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// A move brings the children that exist when we start into a job's cgroup. Where
// systemd has to be asked for one that takes time, in which the owner is served;
// the job is in the fallback meanwhile, and stays there if it cannot be helped:
// the owner has no flag to be told by.
//
//	own cgroup, or beside it ──> in it: done
//	    │ a scope is right          (see cgroup.Judge)
//	    v
//	ask for it ─────────────> in it: done
//	    │ refused          ^ │ some were forked outside meanwhile
//	    v                  │ v
//	 fallback <──────── attach them
type move struct {
	program *cli.Program
	s       *supervisor.Supervisor
	place   *containment.Place
	scope   containment.Scope
	until   time.Time // for all of it
}

// jobName is that of the job's cgroup.
const jobName = "job"

// begin moves what can be moved at once, or begins to ask.
func (m *move) begin() {
	defer m.place.Tree.Still()()
	pids, err := m.place.Tree.Procs()
	if err != nil {
		m.giveUp(err)
		return
	}
	j, err := cgroup.Judge(pids, nil)
	if err != nil {
		m.giveUp(err)
		return
	}
	defer j.Close()
	if j.Verdict == cgroup.Inside {
		m.entered(m.place.Enter(j.Open, jobName))
		return
	}
	m.guard() // a manager that is slow is not waited for without
	m.until = time.Now().Add(containment.DefaultPatience)
	if j.Verdict == cgroup.AskManager {
		m.await(containment.AskUnit(containment.DefaultPatience, append(pids, os.Getpid())...))
		return
	}
	if err := m.place.Post(m.s); err != nil {
		m.giveUp(err)
		return
	}
	m.await(containment.AskScope(containment.DefaultPatience, j.Slice, jobName, os.Getpid())) // a child that may end meanwhile would spoil it
}

// await has answered called when supervise-scope, which was just started, has ended.
func (m *move) await(a *program.Sibling, err error) {
	if err != nil {
		m.giveUp(fmt.Errorf("no cgroup from systemd: %w", err))
		return
	}
	m.s.Chore(a.PID(), func(over bool) { m.answered(a, over) })
}

// answered goes on after supervise-scope; over: it is too late.
func (m *move) answered(a *program.Sibling, over bool) {
	sc, err := containment.ReadScope(a)
	if over {
		return
	}
	if m.scope.Cgroup == "" { // else it was told to attach, and says nothing
		m.scope = sc
	}
	if m.scope.Cgroup == "" {
		m.giveUp(fmt.Errorf("no cgroup from systemd: %w", err))
		return
	}
	if m.attach() {
		return
	}
	err = m.place.Enter(m.scope.Search().Open, jobName)
	if errors.Is(err, unix.EACCES) && m.attach() { // one was forked by one that was outside
		return
	}
	m.entered(err)
}

// entered goes on where the job is in a cgroup, or, after an error, is not.
func (m *move) entered(err error) {
	if err != nil {
		m.giveUp(err)
		return
	}
	m.place.WatchGuardian(m.s)
}

// attach has systemd move the processes that are still outside the scope, and says whether
// there are any. When they are moved there is another look: one may have forked.
func (m *move) attach() bool {
	pids, err := m.place.Tree.Procs()
	outside := cgroup.Outside(m.scope.Cgroup, pids)
	if err != nil || len(outside) == 0 {
		return false
	}
	if left := time.Until(m.until); left > 0 {
		m.await(containment.AskAttach(m.scope.Unit, left, outside))
	} else {
		m.giveUp(fmt.Errorf("%s: processes are forked faster than they can be moved", m.scope.Unit))
	}
	return true
}

// giveUp leaves the job in the fallback.
func (m *move) giveUp(reason error) {
	if cgroup.Managed() {
		m.program.Complain(fmt.Errorf("%w; the job is held without a cgroup", reason))
	}
	m.guard()
}

// guard starts the guardian of the fallback.
func (m *move) guard() { m.place.GuardMarked(m.s) }
