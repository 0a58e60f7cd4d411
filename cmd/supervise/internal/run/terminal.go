package run

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A terminal is the controlling terminal that supervise shares with the job, whose
// process group is another. Where supervise's is the foreground process group the job's
// becomes it; when the job stops supervise takes the terminal back and stops as well, so
// that the shell above sees the same as without supervise; when supervise is continued
// the job is.
//
// With standard output a pipe, the others in the pipeline (a pager, say) may want the
// terminal as much: then the job gets it only when it is stopped for using it (SIGTTIN,
// SIGTTOU), and signals from the keyboard reach it through supervise.
type terminal struct {
	fd     int           // -1: not opened, or there is none
	eager  bool          // hand it over at the start and after every stop
	handed bool          // the job's group is the foreground
	modes  *unix.Termios // at the start, before the job could change them; nil: not known
}

// findTerminal looks at the standard descriptors. There may be a terminal behind none of
// them; it is opened when the job stops for it. TIOCGPGRP fails for any terminal but the
// controlling one, and that alone has a foreground group that concerns the job.
func findTerminal() *terminal {
	t := &terminal{fd: -1}
	for fd := range 3 {
		group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err != nil {
			continue
		}
		t.fd = fd
		// In the background the terminal is not supervise's to give.
		t.eager = group == unix.Getpgrp() && !isPipe(1)
		t.handed = t.eager
		t.modes, _ = unix.IoctlGetTermios(fd, unix.TCGETS)
		break
	}
	return t
}

// isPipe tells whether a descriptor leads to another process. Some shells make pipelines
// of sockets.
func isPipe(fd int) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	return st.Mode&unix.S_IFMT == unix.S_IFIFO || st.Mode&unix.S_IFMT == unix.S_IFSOCK
}

// open finds the terminal that is behind no standard descriptor. /dev/tty is the
// controlling terminal of the process that opens it (tty(4)); there is none in a service.
func (t *terminal) open() bool {
	if t.fd < 0 {
		fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err != nil {
			return false
		}
		t.fd = fd
		t.modes, _ = unix.IoctlGetTermios(fd, unix.TCGETS)
	}
	return true
}

// foreground returns the foreground process group, 0 if there is no telling.
func (t *terminal) foreground() int {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return group
}

// give makes a group the foreground. SIGTTOU is blocked meanwhile: this process may be in
// the background, where tcsetpgrp(3) gets SIGTTOU unless it is blocked or ignored; with
// Go's handler the call would be restarted, and the signal sent, for ever. The mask is a
// thread's, hence the lock.
func (t *terminal) give(group int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ttou, old unix.Sigset_t
	ttou.Val[0] = 1 << (unix.SIGTTOU - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &ttou, &old) != nil {
		return
	}
	unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group) // fails if the group is gone: then it needs none
	unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	t.handed = group != unix.Getpgrp()
}

// Suspend implements supervisor.Terminal: the job has stopped, and supervise stops with
// it unless there is a reason to go on.
func (t *terminal) Suspend(pid int, sig unix.Signal) {
	if !t.open() {
		return // without a terminal there is no shell that waits for supervise to stop
	}
	ours := t.foreground() == unix.Getpgrp()
	switch {
	case ours && (sig == unix.SIGTTIN || sig == unix.SIGTTOU):
		t.give(pid) // now the job needs the terminal
		unix.Kill(-pid, unix.SIGCONT)
		return
	case sig == unix.SIGSTOP && !ours && !t.handed:
		return // stopped by kill -STOP from elsewhere, to be continued from there
	}
	if t.handed {
		t.give(unix.Getpgrp())
	}
	t.stop(sig)
	t.Resume(pid)
	unix.Kill(-pid, unix.SIGCONT)
}

// stop stops supervise, with all of its process group unless the job alone was stopped,
// by SIGSTOP. It returns when supervise is continued; or at once, if the group is
// orphaned: then the kernel does not let it stop (setpgid(2)), and neither may the job.
func (t *terminal) stop(sig unix.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals.Default(unix.SIGCONT) // the caller continues the job; a second SIGCONT would undo the next Ctrl-Z
	defer signals.Again(unix.SIGCONT)
	if sig == unix.SIGSTOP {
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
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if set, ok := strings.CutPrefix(line, "ShdPnd:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return n&(1<<(sig-1)) != 0
		}
	}
	return false
}

// Resume implements supervisor.Terminal: after SIGCONT the shell has given the terminal
// to supervise (fg) or not (bg), and the job gets it in the first case alone.
func (t *terminal) Resume(pid int) {
	if t.fd >= 0 && t.eager && t.foreground() == unix.Getpgrp() {
		t.give(pid)
	}
}

// takeBack makes supervise the foreground again after the job, as the shell above
// expects. A job that was killed had no chance to put the modes in order; one that exited
// may have changed them on purpose, as stty does.
func (t *terminal) takeBack(exit *protocol.Exit) {
	if !t.handed {
		return
	}
	t.give(unix.Getpgrp())
	if exit != nil && exit.Signal != nil && t.modes != nil {
		// TCSETSW waits until what the job has written is out (tcsetattr(3)).
		unix.IoctlSetTermios(t.fd, unix.TCSETSW, t.modes)
	}
}

// interrupted says whether sig, which ended the job, came from the keyboard, and tells
// the others in supervise's process group, which would have got it too: a script must not
// go on after Ctrl-C.
func (t *terminal) interrupted(sig unix.Signal) bool {
	if t.fd < 0 || sig != unix.SIGINT && sig != unix.SIGQUIT || t.foreground() != unix.Getpgrp() {
		return false
	}
	if t.eager {
		signals.Ignore(sig)
		unix.Kill(0, sig)
	}
	return true
}
