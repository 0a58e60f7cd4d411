package run

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
)

// Suspend implements supervisor.Terminal: the job has stopped, and supervise stops with
// it unless there is a reason to go on.
func (t *terminal) Suspend(pid int, sig unix.Signal) {
	if t.fd < 0 {
		return // without a terminal there is no shell that waits for supervise to stop
	}
	if t.shared {
		t.follow(pid, sig)
		return
	}
	front := t.foreground()
	ours := front == t.group
	switch {
	case ours && (sig == unix.SIGTTIN || sig == unix.SIGTTOU):
		t.give(pid) // now the job needs the terminal
		unix.Kill(-pid, unix.SIGCONT)
		return
	case sig == unix.SIGSTOP && !ours && !t.handed:
		return // stopped by kill -STOP from elsewhere, to be continued from there
	}
	if t.handed && front == pid { // else a shell above has taken it already
		t.give(t.group)
	}
	t.stop(sig)
	t.Resume(pid)
	unix.Kill(-pid, unix.SIGCONT)
}

// follow stops supervise, if its stopping tells a shell something, after a main process
// that was stopped alone. One that was stopped with the group may have been continued with
// it since: so was supervise.
func (t *terminal) follow(pid int, sig unix.Signal) {
	if !t.watched || !isStopped(pid) {
		return
	}
	t.stop(sig)
	if isStopped(pid) { // in another group, or only supervise was continued
		unix.Kill(pid, unix.SIGCONT)
	}
}

func isStopped(pid int) bool {
	s, err := proc.ReadStat(pid)
	return err == nil && s.State == 'T'
}

// stop stops supervise, with all of its process group unless the job alone was stopped:
// by SIGSTOP, or in a group that it shares. It returns when supervise is continued; or at once, if the group is
// orphaned: then the kernel does not let it stop (setpgid(2)), and neither may the job.
func (t *terminal) stop(sig unix.Signal) {
	if p := t.progress; p != nil {
		p.erase()
		defer func() { p.resumed = time.Now() }()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals.Default(unix.SIGCONT) // the caller continues the job; a second SIGCONT would undo the next Ctrl-Z
	defer signals.Again(unix.SIGCONT)
	if sig == unix.SIGSTOP || t.shared {
		if t.progress != nil && sig == unix.SIGTSTP {
			defer signals.Release(sig)()
		}
		unix.Tgkill(os.Getpid(), unix.Gettid(), sig) // to this very thread: it stops before it returns
		return
	}
	defer signals.Release(sig)()
	// One signal for all of the group, us included: a SIGCONT that comes at once
	// then undoes it for all alike, where a second stop of our own would stay.
	// Another thread may take it, and this one goes on until it has.
	unix.Kill(0, sig)
	for pending(sig) {
		nap()
	}
	nap()
}

// nap is 0.2 ms: long enough for another thread to run, short for a user at the keyboard.
func nap() { unix.Nanosleep(&unix.Timespec{Nsec: 200_000}, nil) }

// pending says whether a signal to this process was taken by none of its threads yet
// (ShdPnd in proc(5), a mask in hexadecimal).
func pending(sig unix.Signal) bool {
	b, _ := proc.ReadFile("/proc/self/status", 0)
	for line := range strings.Lines(string(b)) {
		if set, ok := strings.CutPrefix(line, "ShdPnd:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return n&(1<<(sig-1)) != 0
		}
	}
	return false
}

// Resume implements supervisor.Terminal: after SIGCONT the shell has given the terminal
// to supervise (fg) or not (bg), and the job gets it in the first case alone. If there are
// others in supervise's group, one of them may have been stopped for want of the terminal:
// from then on the job gets it when it is stopped for that (see Suspend).
func (t *terminal) Resume(pid int) {
	if !t.eager || t.foreground() != t.group {
		return
	}
	if t.eager = !t.crowded(); t.eager {
		t.give(pid)
	}
}

// crowded says whether there are others in supervise's process group. It looks through all
// processes, as nothing shorter tells.
func (t *terminal) crowded() bool {
	names, _ := proc.Names("/proc")
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		if group, err := unix.Getpgid(pid); err == nil && group == t.group {
			return true
		}
	}
	return false
}
