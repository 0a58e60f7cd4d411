package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// Kill SIGKILLs every process of the job, the ones being forked included, and returns at
// once. The caller waits for Empty, and calls Kill again if the job is not empty within a
// second: a process that is forked while cgroup.kill is written may be missed (Linux 6.18:
// once in some thousand kills of a tree that forks), and one whose first thread has exited is
// missed always; the second Kill knows those. Without cgroup.kill (before Linux 5.14) Kill
// freezes, kills and thaws.
func (j *Job) Kill() error { return j.node.kill() }

func (d *dir) kill() error {
	err := d.writeKill()
	switch {
	case errors.Is(err, unix.ENODEV): // it was removed
		return nil
	case errors.Is(err, fs.ErrNotExist), // before Linux 5.14
		errors.Is(err, unix.EOPNOTSUPP): // the job has made it threaded
		return d.signal(unix.SIGKILL)
	case err == nil && d.killed:
		d.killHeadless()
	}
	d.killed = true
	return err
}

// killHeadless SIGKILLs the processes whose first thread has exited while others live: the
// kernel sends the signal of cgroup.kill to that thread alone, where it is lost. To look for
// them takes a fifth of the time in which a thousand processes end, so the first kill goes
// without. Should a number be another process's by now, that one is none of these. No error
// is one: what was not killed keeps the cgroup from being empty.
func (d *dir) killHeadless() {
	d.each(func(at *dir) error {
		pids, _ := at.processesOfThreads()
		for _, pid := range pids {
			if s, err := proc.ReadStat(pid); err == nil && s.Headless() {
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		return nil
	})
}

func (d *dir) writeKill() error {
	if d.killFile > 0 {
		return d.writeTo(d.killFile, "cgroup.kill", "1")
	}
	return d.write("cgroup.kill", "1")
}

// Signal sends sig to every process of the job. The job is frozen meanwhile, so that no
// process can fork a child that the signal would miss.
func (j *Job) Signal(sig unix.Signal) error { return j.node.signal(sig) }

func (d *dir) signal(sig unix.Signal) error {
	if err := d.freeze(); err != nil && sig != unix.SIGKILL {
		return err
	}
	pids, err := d.procs()
	for _, pid := range pids { // frozen: no process can end and free its PID for another one
		if e := proc.SignalHeld(pid, sig); e != nil && e != unix.ESRCH {
			err = errors.Join(err, fmt.Errorf("sending signal %d to process %d: %w", sig, pid, e))
		}
	}
	return errors.Join(err, d.write("cgroup.freeze", "0"))
}

// Freeze stops every process of the job, and every process born in it, until Thaw
// (cgroup.freeze, Linux 5.2). It returns when all are frozen. It does not wait for a process
// that hangs in the kernel (D state): the kernel freezes it when it comes back.
func (j *Job) Freeze() error { return j.node.freeze() }

// Thaw lets the processes continue.
func (j *Job) Thaw() error { return j.node.write("cgroup.freeze", "0") }

// freezeLimit bounds the wait for a process that cannot be frozen because it
// hangs in the kernel (D state); such a process does not fork either.
const freezeLimit = 200 * time.Millisecond

func (d *dir) freeze() error {
	if err := d.write("cgroup.freeze", "1"); err != nil {
		return err
	}
	_, err := d.await("frozen", 1, freezeLimit)
	return err
}

// await waits until a key of cgroup.events has a value, at most for limit. The
// file is read anew after every wait: the kernel delays notifications (10 ms
// and more) and may leave one out (cgroup_file_notify in cgroup.c).
func (d *dir) await(key string, want uint64, limit time.Duration) (bool, error) {
	fd := d.eventsFile
	if fd <= 0 {
		own, err := d.open("cgroup.events", unix.O_RDONLY)
		if err != nil {
			return false, err
		}
		defer unix.Close(own)
		fd = own
	}
	deadline := time.Now().Add(limit)
	for wait := 1; ; wait = min(2*wait, 64) {
		b, err := readAll(fd)
		if err != nil {
			return false, d.fail("read", "cgroup.events", err)
		}
		if v, ok := lookup(b, key); ok && v == want {
			return true, nil
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, wait)
	}
}

// killLimit bounds the wait for a session to end when its supervisor is dead.
const killLimit = 10 * time.Second

// killAndWait kills until no process is left.
func (d *dir) killAndWait() error { return d.killWithin(killLimit) }

func (d *dir) killWithin(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		if err := d.kill(); err != nil {
			return err
		}
		empty, err := d.await("populated", 0, time.Second)
		if empty || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			pids, _ := d.procs()
			return fmt.Errorf("%s: processes %v do not end", d.path, pids)
		}
	}
}

// procs lists the processes of the whole tree.
func (d *dir) procs() (pids []int, err error) {
	err = d.each(func(at *dir) error {
		own, err := at.ownProcs()
		pids = append(pids, own...)
		return err
	})
	return pids, err
}

// ownProcs lists the processes of this cgroup alone that our PID namespace shows.
func (d *dir) ownProcs() ([]int, error) {
	pids, err := d.members()
	return slices.DeleteFunc(pids, func(pid int) bool { return pid == unseen }), err
}

// unseen is the number in cgroup.procs of a process outside our PID namespace.
const unseen = 0

// members lists all processes of this cgroup alone. In a threaded cgroup cgroup.procs cannot be
// read (EOPNOTSUPP): there it is the processes that have a thread in it.
func (d *dir) members() ([]int, error) {
	b, err := d.read("cgroup.procs")
	if errors.Is(err, unix.EOPNOTSUPP) {
		return d.processesOfThreads()
	}
	if errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	return parsePIDs(b), nil
}

// processesOfThreads lists the processes that have a thread in this cgroup alone, but for this
// process, of which a job of the same user may have moved a thread to a threaded one.
func (d *dir) processesOfThreads() (pids []int, err error) {
	b, err := d.read("cgroup.threads")
	if err != nil {
		return nil, err
	}
	for _, tid := range parsePIDs(b) {
		pid, err := proc.Leader(tid)
		if err == nil && pid != os.Getpid() && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func parsePIDs(b []byte) (pids []int) {
	for field := range bytes.FieldsSeq(b) {
		if pid, err := strconv.Atoi(string(field)); err == nil && pid >= 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
