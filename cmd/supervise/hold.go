package main

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// A hold is how the job of this process is held: a session with one job and the
// guardian over it, or only the tree of our descendants. It owns all of it.
type hold struct {
	supervisor.Containment
	tree     subreaper.Tree
	session  *cgroup.Session // nil: fallback
	job      *cgroup.Job
	guardian *guardian.Guardian // nil: none
	watcher  *cgroup.Watcher    // nil until needed
	reason   string             // why it is the fallback
}

// takeHold makes a cgroup session with a job in it. On an error nothing is left.
func takeHold(root, name string, guard bool) (h *hold, err error) {
	h = &hold{}
	if h.session, err = cgroup.Open(root); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.release()
		}
	}()
	if h.job, err = h.session.NewJob(name); err != nil {
		return nil, err
	}
	h.Containment = h.job
	if guard {
		err = h.guard()
	}
	return h, err
}

// fallback holds by descent alone.
func fallback(reason string) *hold {
	h := &hold{reason: reason}
	h.Containment = &h.tree
	return h
}

// guard starts the guardian.
func (h *hold) guard() error {
	kill, err := h.session.KillFD()
	if errors.Is(err, unix.ENOENT) { // before Linux 5.14 it has no better way than the cleaner's
		kill, err = -1, nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(kill)
	h.guardian, err = guardian.Start(kill, h.session.FD(), h.session.RootFD())
	if err == nil {
		h.tree.Spare = []int{h.guardian.PID()}
	}
	return err
}

// watch is the supervisor's Watch.
func (h *hold) watch(supervisor.Containment) (<-chan int, error) {
	if h.job == nil {
		return nil, nil
	}
	if h.watcher == nil {
		w, err := cgroup.NewWatcher()
		if err != nil {
			return nil, err
		}
		h.watcher = w
	}
	_, err := h.watcher.Watch(h.job)
	return h.watcher.C, err
}

// path is the job's cgroup, "" in the fallback.
func (h *hold) path() string {
	if h.job == nil {
		return ""
	}
	return h.job.Path()
}

// release gives everything back. The job has ended, and its cgroup is removed
// already if it ran.
func (h *hold) release() error {
	if h.session == nil {
		return nil
	}
	if h.guardian != nil {
		h.guardian.Dismiss()
		defer h.guardian.Wait()
	}
	if h.watcher != nil {
		h.watcher.Close()
	}
	return h.session.Close()
}

// choose takes the containment that the options ask for.
func choose(o *runOptions) (*hold, error) {
	if o.contain == containSubreaper {
		return fallback(o.reason), nil
	}
	h, err := takeHold(o.cgroup, jobName(o), !o.noGuard)
	switch {
	case err == nil:
		return h, nil
	case o.contain == containCgroup:
		return nil, fmt.Errorf("cgroup containment is not to be had here: %w; --contain=auto would fall back", err)
	case o.cgroup != "":
		return nil, fmt.Errorf("--cgroup %s: %w", o.cgroup, err)
	}
	return fallback(err.Error()), nil
}

// Start starts the main process. A cgroup that cannot be joined is given up for
// the fallback, which is why the supervisor is handed the hold and not the job.
func (h *hold) start(s *supervisor.Supervisor, spec supervisor.Spec, mayFallBack bool) error {
	spec.Containment = h.Containment
	err := s.Start(spec)
	var join *cgroup.JoinError
	if !mayFallBack || !errors.As(err, &join) {
		return err
	}
	if releaseErr := h.release(); releaseErr != nil {
		return errors.Join(err, releaseErr)
	}
	*h = *fallback(join.Error())
	spec.Containment = h.Containment
	return s.Start(spec)
}

// isNotFound says whether a program or its interpreter is missing.
func isNotFound(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)
}
