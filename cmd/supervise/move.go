package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// A move brings the children that exist when we start into a job's cgroup. Where
// systemd has to be asked for one that takes time, in which the owner is served;
// the job is in the fallback meanwhile, and stays there if it cannot be helped:
// the owner has no flag to be told by.
//
//	own cgroup ──> in it: done
//	    │ not ours
//	    v
//	ask for a scope ──> in it: done
//	    │ refused          ^ │ some were forked outside meanwhile
//	    v                  │ v
//	 fallback <──────── attach them
type move struct {
	s     *supervisor.Supervisor
	h     *hold
	scope scope
	until time.Time // for all of it
}

// begin moves what can be moved at once, or begins to ask.
func (m *move) begin() {
	managed := cgroup.Managed()
	pids, err := m.h.tree.Procs()
	if err == nil {
		err = m.enter(cgroup.Search{Exclusive: managed, Ours: pids})
	}
	switch {
	case err == nil:
	case managed && !errors.Is(err, cgroup.ErrNoMount) && !errors.Is(err, unix.EROFS):
		m.guard() // a manager that is slow is not waited for without
		m.until = time.Now().Add(defaultSystemdTimeout)
		m.ask(scopeArgs(defaultSystemdTimeout, "", "job", []int{os.Getpid()})) // one that may end meanwhile would spoil it
	default:
		m.giveUp(err)
	}
}

// ask runs supervise-scope; answered is called when it has ended.
func (m *move) ask(args []string) {
	a, err := ask(args...)
	if err != nil {
		m.giveUp(err)
		return
	}
	m.s.Chore(a.pid, func(over bool) { m.answered(a, over) })
}

// answered goes on after supervise-scope; over: it is too late.
func (m *move) answered(a *asking, over bool) {
	sc, err := a.answer()
	if over {
		return
	}
	if m.scope.Cgroup == "" { // else it was told to attach, and says nothing
		m.scope = sc
	}
	if m.scope.Cgroup == "" {
		m.giveUp(err)
		return
	}
	if m.attach() {
		return
	}
	err = m.enter(cgroup.Search{Path: m.scope.Cgroup, Delegated: true, Ends: m.scope.isNew()})
	if err != nil && !(errors.Is(err, unix.EACCES) && m.attach()) { // one was forked by one that was outside
		m.giveUp(err)
	}
}

// attach has systemd move those who are still outside the scope, and says whether
// there are any. When they are moved there is another look: one may have forked.
func (m *move) attach() bool {
	pids, err := m.h.tree.Procs()
	outside := cgroup.Outside(m.scope.Cgroup, pids)
	if err != nil || len(outside) == 0 {
		return false
	}
	if left := time.Until(m.until); left > 0 {
		m.ask(append([]string{"--attach", m.scope.Unit, "--timeout", left.String()}, pidArgs(outside)...))
	} else {
		m.giveUp(fmt.Errorf("%s: processes are forked faster than they can be moved", m.scope.Unit))
	}
	return true
}

// enter makes a session where it may and moves all there is below us into it.
// On an error everything is where it was.
func (m *move) enter(where cgroup.Search) error {
	h, err := takeHold(where, "job")
	if err != nil {
		return err
	}
	h.tree = m.h.tree // which spares the guardian of the fallback, if there is one
	if err = h.adopt(); err != nil {
		return errors.Join(err, h.Close())
	}
	m.h.dismiss()
	h.tree.Spare = []int{h.guardian.PID()}
	*m.h = *h
	return nil
}

// giveUp leaves the job in the fallback.
func (m *move) giveUp(reason error) {
	m.h.reason = oneLine(reason)
	if cgroup.Managed() {
		complain(fmt.Errorf("no scope from systemd: %w; the job is held without a cgroup", reason))
	}
	m.guard()
}

// guard starts the guardian of the fallback. If it cannot be started either, the
// job is as safe as with our predecessor.
func (m *move) guard() {
	if m.h.guardian == nil {
		m.h.guardMarked()
		m.h.markOn(m.s)
	}
}
