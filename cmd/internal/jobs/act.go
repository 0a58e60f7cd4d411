package jobs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Open finds the one job that a text names: an id, the beginning of one, or a name. It may be
// acted on: it is this user's, or this user is root. The caller closes it.
func Open(text string) (*Job, error) {
	named := func(j *Job) bool { return strings.HasPrefix(j.ID, text) || j.Name == text }
	list, err := Find(named)
	found := slices.DeleteFunc(slices.Clone(list), func(j *Job) bool { return !named(j) })
	if i := slices.IndexFunc(found, func(j *Job) bool { return j.ID == text }); i >= 0 {
		found = found[i : i+1]
	}
	if len(found) == 1 {
		if err = found[0].refused(); err == nil {
			CloseAll(slices.DeleteFunc(list, func(j *Job) bool { return j == found[0] }))
			return found[0], nil
		}
	}
	CloseAll(list)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("no job %q; 'supervise list --all' shows those that there are", text)
	}
	ids := make([]string, 0, 8)
	for _, j := range found[:min(len(found), cap(ids))] {
		ids = append(ids, j.ID)
	}
	return nil, fmt.Errorf("%q may be any of %s", text, strings.Join(ids, ", "))
}

// refused says why this process may not act on the job.
func (j *Job) refused() error {
	if euid := os.Geteuid(); euid != 0 && euid != j.UID {
		return fmt.Errorf("job %s is user %d's, and this is user %d: %w", j.ID, j.UID, euid, fs.ErrPermission)
	}
	return nil
}

// errByDescent says why a job has no such thing.
var errByDescent = errors.New("it is held by descent, without a cgroup")

// Node returns the job's cgroup, which the job keeps owning.
func (j *Job) Node() (*cgroup.Found, error) {
	if j.held == nil {
		return nil, fmt.Errorf("job %s: %w", j.ID, errByDescent)
	}
	return j.held, nil
}

// killLimit bounds the wait for the end of what was killed.
const killLimit = 10 * time.Second

// Kill ends the job and returns when no process of it is left: with a grace all get SIGTERM
// first, and are waited for that long. The supervisor lives on, and tells its owner. If it is dead,
// the job's directories are removed in its place.
func (j *Job) Kill(grace time.Duration) error {
	if grace > 0 {
		if err := j.Signal(unix.SIGTERM, true); err != nil && !errors.Is(err, errEnded) {
			return err
		}
		if over, err := j.await(grace); err != nil || over && j.State != protocol.ListedOrphaned {
			return err
		}
	}
	if j.held != nil {
		err := j.held.Kill()
		if err == nil && j.State == protocol.ListedOrphaned {
			j.held.RemoveOrphaned()
		}
		return err
	}
	for end := time.Now().Add(killLimit); ; {
		if err := j.stopAll(); err != nil {
			return err
		}
		if _, err := j.signalAll(unix.SIGKILL, map[identity]bool{}); err != nil {
			return err
		}
		if over, err := j.await(time.Second); over || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("job %s: processes do not end: %v", j.ID, j.live())
		}
	}
}

// await waits until no process is left, for so long at most.
func (j *Job) await(limit time.Duration) (over bool, err error) {
	if j.held != nil {
		return j.held.Await(limit)
	}
	fd, err := unix.PidfdOpen(*j.Supervisor, 0)
	if errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	// The supervisor's end is the job's; and some live on without a job.
	for end := time.Now().Add(limit); ; {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(min(time.Until(end), 20*time.Millisecond).Milliseconds()+1))
		if n > 0 || len(j.live()) == 0 {
			return true, nil
		}
		if time.Now().After(end) {
			return false, nil
		}
	}
}

// errEnded says that there is nothing left to act on.
var errEnded = errors.New("it has ended")

// Signal sends a signal to the main process, or to all processes of the job.
func (j *Job) Signal(sig unix.Signal, all bool) error {
	switch {
	case all && j.held != nil:
		return j.held.Signal(sig)
	case all:
		seen := map[identity]bool{}
		for {
			if more, err := j.signalAll(sig, seen); err != nil || !more {
				return err
			}
		}
	case j.PID == nil:
		return fmt.Errorf("job %s: its main process is not known; --all signals every process", j.ID)
	}
	fd, err := unix.PidfdOpen(*j.PID, 0)
	if err == nil {
		defer unix.Close(fd)
		if !j.isMain(*j.PID) { // asked after the opening: the number was not given to another process meanwhile
			err = unix.ESRCH
		} else if j.State == protocol.ListedFrozen { // in which it does not end
			err = proc.SignalHeld(*j.PID, sig)
		} else {
			err = unix.PidfdSendSignal(fd, sig, nil, 0)
		}
	}
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("job %s: its main process: %w; --all signals every process", j.ID, errEnded)
	}
	return err
}

// isMain says whether a pid is still that of the main process.
func (j *Job) isMain(pid int) bool {
	s, err := proc.ReadStat(pid)
	if err != nil || s.Ended() || j.Supervisor == nil {
		return false
	}
	if parent, err := readProcess(s.Parent); s.Parent != *j.Supervisor && (err != nil || parent.Parent != *j.Supervisor || parent.exit != 0) {
		return false
	}
	if j.held == nil {
		return true
	}
	places, err := cgroup.NewPlaces()
	return err == nil && isBelow(j.held.Path(), places.Of(pid))
}

// An identity is a process: pids are used again.
type identity struct {
	pid   int
	start uint64
}

// live lists the processes of a job that is held by descent; none if its supervisor has ended.
func (j *Job) live() (list []identity) {
	t, err := readTable()
	if err != nil || t.all[*j.Supervisor].Start != j.start {
		return nil
	}
	for _, pid := range t.lineage(*j.Supervisor) {
		list = append(list, identity{pid, t.all[pid].Start})
	}
	return list
}

// signalAll signals the processes of a job held by descent that were not seen yet. More says
// that there was one.
func (j *Job) signalAll(sig unix.Signal, seen map[identity]bool) (more bool, err error) {
	for _, p := range j.live() {
		if seen[p] {
			continue
		}
		seen[p], more = true, true
		if e := p.signal(sig); e != nil && !errors.Is(e, unix.ESRCH) {
			err = errors.Join(err, fmt.Errorf("job %s: sending signal %d to process %d: %w", j.ID, sig, p.pid, e))
		}
	}
	return more, err
}

// signal reaches this process, or none.
func (p identity) signal(sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if s, err := proc.ReadStat(p.pid); err != nil || s.Start != p.start {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// stopAll stops every process of a job held by descent: then none can fork.
func (j *Job) stopAll() error {
	seen := map[identity]bool{}
	for end := time.Now().Add(killLimit); time.Now().Before(end); {
		if more, err := j.signalAll(unix.SIGSTOP, seen); err != nil || !more {
			return err
		}
	}
	return nil // the kill comes all the same
}

// Freeze is [cgroup.Found.Freeze]; a job held by descent has none.
func (j *Job) Freeze() error {
	node, err := j.Node()
	if err != nil {
		return err
	}
	return node.Freeze()
}

// Thaw is [cgroup.Found.Thaw].
func (j *Job) Thaw() error {
	node, err := j.Node()
	if err != nil {
		return err
	}
	return node.Thaw()
}

// Limit changes limits of the running job. Where its memory was not limited, what follows from
// a limit of memory is set as well (see [cgroup.Limits.Complete]); else swap and the rest are as
// they were wanted at the start.
func (j *Job) Limit(l cgroup.Limits) error {
	node, err := j.Node()
	if err != nil {
		return err
	}
	if node.Usage().MemoryMax == nil {
		l = l.Complete()
	}
	return node.Limit(l)
}

// LimitBy is Limit by the name of a flag and its value.
func (j *Job) LimitBy(name, value string) error {
	l, err := cgroup.ParseLimit(name, value)
	if err != nil {
		return err
	}
	return j.Limit(l)
}
