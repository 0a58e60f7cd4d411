package main

import (
	"cmp"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A hold is how the job of this process is held: a session with one job and the
// guardian over it, or only the tree of our descendants. It owns all of it, and
// is the containment that the supervisor knows.
type hold struct {
	supervisor.Containment // the job, or the tree
	tree                   subreaper.Tree
	session                *cgroup.Session // nil: fallback
	job                    *cgroup.Job
	guardian               *guardian.Guardian // nil: none
	mark                   subreaper.Mark     // of the processes that the guardian knows; 0: none
	watcher                *cgroup.Watcher    // nil until needed
	limits                 cgroup.Limits      // that are enforced
	unenforced             []protocol.Unenforced
	counting               bool             // somebody wants to know what the job used
	samples                *samples         // nil: none
	oomWatch               *cgroup.OOMWatch // nil: nothing to see
	oom                    cgroup.OOM       // after Close, like stats
	stats                  *cgroup.Stats    // nil: no cgroup
	helper                 int              // supervise-scope, on its way out; 0: none
	reason                 string           // why it is the fallback, or a lesser cgroup
}

// takeHold makes a cgroup session with a job in it; without a name, for serve, it
// has none yet. On an error nothing is left.
func takeHold(where cgroup.Search, name string) (h *hold, err error) {
	h = &hold{}
	if h.session, err = cgroup.Open(where); err != nil {
		return nil, err
	}
	if name == "" {
		return h, nil
	}
	if h.job, err = h.session.NewJob(name); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	h.Containment = h.job
	return h, nil
}

// adopt moves all there is below us into the job.
func (h *hold) adopt() error {
	if err := h.guard(); err != nil {
		return err
	}
	if err := h.job.Adopt(h.tree.Each); err != nil {
		return err
	}
	h.session.RemoveStale()
	return h.claim()
}

// dismiss ends the guardian, if there is one.
func (h *hold) dismiss() {
	if h.guardian != nil {
		h.guardian.Dismiss()
		h.guardian.Wait()
		h.guardian, h.tree.Spare = nil, nil
	}
}

// account reads the counters, which go with the directory. What cannot be read is
// not known.
func (h *hold) account() {
	if h.counting {
		h.stats, _ = h.job.Stats()
	}
	if h.samples != nil {
		h.samples.close()
	}
	if h.oomWatch != nil {
		h.oom, _ = h.oomWatch.Cause(false)
	}
}

// reap waits for a child that has nothing to say any more.
func reap(pid int) {
	for pid > 0 {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// claim has the job get what controllers there are.
func (h *hold) claim() error {
	if h.job == nil {
		return h.session.Claim()
	}
	return h.session.Claim(h.job)
}

// why says why there is no cgroup.
func (h *hold) why() string { return cmp.Or(h.reason, askedFor) }

// fallback holds by descent alone.
func fallback(reason string) *hold {
	h := &hold{reason: reason}
	h.Containment = &h.tree
	return h
}

// watch is the supervisor's Watch.
func (h *hold) watch(supervisor.Containment) (w supervisor.Watcher, key int, err error) {
	if h.job == nil {
		return nil, 0, nil
	}
	return h.watchJob(h.job)
}

// watchJob watches a job of the session, all by one watcher.
func (h *hold) watchJob(j *cgroup.Job) (w supervisor.Watcher, key int, err error) {
	if h.watcher == nil {
		if h.watcher, err = cgroup.NewWatcher(); err != nil {
			return nil, 0, err
		}
	}
	key, err = h.watcher.Watch(j)
	return h.watcher, key, err
}

// path is the job's cgroup, "" in the fallback.
func (h *hold) path() string {
	if h.job == nil {
		return ""
	}
	return h.job.Path()
}

// Start implements supervisor.Containment.
func (h *hold) Start(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	pid, err = h.Containment.Start(path, argv, attr)
	if err == nil && (attr.Sys.Setpgid || attr.Sys.Setsid) {
		h.tree.Group = pid
	}
	return pid, err
}

// Hold implements supervisor.Holder: in the fallback Kill would begin with it
// anyway; to freeze a cgroup costs more than to kill it.
func (h *hold) Hold() (held bool, err error) {
	if h.job != nil {
		return false, nil
	}
	err = h.tree.Hold()
	return err == nil, err
}

// Procs implements supervisor.Lister.
func (h *hold) Procs() ([]int, error) { return h.Containment.(supervisor.Lister).Procs() }

// CPU implements supervisor.Accountant.
func (h *hold) CPU() (user, system uint64, err error) {
	if h.job == nil {
		return 0, 0, errors.ErrUnsupported
	}
	return h.job.CPU()
}

// Close gives everything back; the job has ended. A second time it does nothing.
func (h *hold) Close() error {
	if h.guardian != nil {
		h.guardian.Dismiss() // it exits while we remove the directories
	}
	if h.watcher != nil {
		h.watcher.Close()
	}
	reap(h.helper) // unless the supervisor did
	h.helper = 0
	err := error(nil)
	if h.job != nil && h.session != nil {
		h.account()
		err = h.job.Close()
	}
	if h.guardian != nil {
		h.guardian.Wait() // it is where we are, and that may have to go
		h.guardian = nil
	}
	if h.session != nil {
		err = errors.Join(err, h.session.Close())
		h.session = nil
	}
	return err
}

// giveUp turns to the fallback.
func (h *hold) giveUp(reason error) error {
	err := h.Close()
	h.job, h.reason = nil, reason.Error()
	h.Containment, h.tree.Spare = &h.tree, nil
	return err
}
