package run

import (
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// A terminal is the controlling terminal of supervise and the job. It is taken only from
// a shell that gave it to supervise alone. Where others have it as well, the job joins
// them, and sits where the command would sit without supervise:
//
//	supervise was started          its process group    the job's      the terminal
//	at the prompt of a shell       of its own           of its own     the job's, whenever the shell
//	by ssh -t, podman -t: it                                           has put supervise in front
//	leads the session
//	in a pipeline at the prompt    the pipeline's       supervise's    is left alone: all of the
//	by a script, by make, Python,  the starter's        supervise's    group have it, and get its
//	Node, sudo, in $(...)                                              signals from the kernel
//	where there is no terminal     any                  of its own
//
// A shell with job control makes a group for what it starts, so that supervise leads it;
// all others leave supervise in theirs. The leader may be the first of a pipeline, whose
// others join the group when they like: then standard output or error is a pipe.
//
// In a group of its own the job cannot hit supervise by kill(0), and a signal to
// supervise's group reaches it once. When it stops supervise takes the terminal back and
// stops as well, so that the shell sees the same as without supervise; when supervise is
// continued the job is.
//
// In a shared group the kernel has reached the job with whatever it sends to supervise,
// and supervise hands on only what processes send. SIGTSTP has its default action here:
// the kernel stops all of the group at once, and SIGCONT continues them at once, so that
// none can be left behind. The guardian must survive kill(0, SIGKILL) by the job. It is in
// another group; in the fallback it starts the job in the shell's from there:
//
//	shell's group: script ──> supervise ─ ─ ─ ─> main process
//	another:                      └──> guardian ──┘
type terminal struct {
	fd       int           // -1: there is none
	group    int           // supervise's process group
	shared   bool          // it is the job's too
	copied   bool          // the job has another one, of its own
	watched  bool          // the parent has made the group, and waits for supervise to stop
	front    bool          // the group was in the foreground at the start
	eager    bool          // hand it over at the start and after every stop
	handed   bool          // the job's group was made the foreground
	alone    bool          // and was it at the end
	progress *progress     // shown on it, and gone while supervise is stopped; nil: it is not
	modes    *unix.Termios // at the start, before the job could change them; nil: they are not ours to put back
}

// findTerminal looks at the standard descriptors, and for a terminal that is behind none
// of them. TIOCGPGRP fails for any terminal but the controlling one, and that alone has a
// foreground group that concerns the job. Siblings says that this process has had children
// before it executed supervise, which may be in its group.
func findTerminal(c *commandLine, siblings bool) *terminal {
	t := &terminal{fd: -1, group: unix.Getpgrp(), copied: c.pty}
	if c.events >= 0 || c.pty {
		return t // the job leads a session without this terminal
	}
	front := t.open()
	if t.fd < 0 {
		return t
	}
	t.front = front == t.group
	pipes := isPipe(1) || isPipe(2)
	t.shared = t.group != unix.Getpid() || pipes || siblings
	t.eager = !t.shared && t.front // in the background it is not supervise's to give
	t.handed = t.eager
	parent, err := unix.Getpgid(unix.Getppid())
	t.watched = err != nil || parent != t.group
	// In a shared group others may change the modes, while the job runs and for good: those
	// of a pipeline, or a script with the job in the background, where a shell has taken
	// standard input or SIGINT away from it.
	_, err = unix.IoctlGetInt(0, unix.TIOCGPGRP)
	if !t.shared || err == nil && !pipes && !signals.Ignored(unix.SIGINT) {
		t.modes, _ = unix.IoctlGetTermios(t.fd, unix.TCGETS)
	}
	return t
}

// open finds the terminal and returns its foreground process group. /dev/tty is the
// controlling terminal of the process that opens it (tty(4)); there is none in a service.
func (t *terminal) open() (front int) {
	for fd := range 3 {
		if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil {
			t.fd = fd
			return group
		}
	}
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return 0
	}
	t.fd = fd
	return t.foreground()
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

// caught are the signals that supervise is to catch. SIGTSTP stops the copying for a job
// on a terminal of its own, which leads its session and would not stop (setpgid(2)); for
// the progress, which is to be erased before, it is caught.
func (t *terminal) caught() []unix.Signal {
	if !t.shared && !t.copied || t.progress != nil {
		return signals.Forwarded
	}
	return slices.DeleteFunc(slices.Clone(signals.Forwarded), func(sig unix.Signal) bool { return sig == unix.SIGTSTP })
}

// early takes the signals that came before the main process was there, which is started next.
// What the kernel has sent to the whole group by then has not reached it. (Taken after the
// start, what had reached it came twice, where other processes had the processor meanwhile. Now
// a key that is pressed in the microseconds until the fork is lost.)
func (t *terminal) early(c *signals.Caught) (list []signals.Signal) {
	if t.shared {
		list = c.Read()
	}
	for i := range list {
		list[i].Kernel = false
	}
	return list
}

// Reached implements supervisor.Terminal. A main process that has moved to a group of its
// own is reached by nothing; what continues this process continues all of the group. Where
// the sender is not known (see package signals) a signal from the keyboard comes twice.
func (t *terminal) Reached(pid int, s signals.Signal) bool {
	switch {
	case !t.shared:
		return false
	case s.Signal == unix.SIGTSTP: // see progress.heard
		return true
	case s.Kernel:
		group, err := unix.Getpgid(pid)
		return err == nil && group == t.group
	}
	return s.Signal == unix.SIGCONT
}

// foreground returns the foreground process group, 0 if there is no telling.
func (t *terminal) foreground() int {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return group
}

// give makes a group the foreground.
func (t *terminal) give(group int) {
	fromBehind(func() { unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group) }) // fails if the group is gone: then it needs none
	t.handed = group != t.group
}

// fromBehind has this process change the terminal though it may be in the background,
// where that gets SIGTTOU unless it is blocked or ignored (tcsetpgrp(3)); with Go's
// handler the call would be restarted, and the signal sent, for ever. To read it gets
// SIGTTIN, or then EIO. The mask is a thread's, hence the lock.
func fromBehind(change func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var both, old unix.Sigset_t
	both.Val[0] = 1<<(unix.SIGTTOU-1) | 1<<(unix.SIGTTIN-1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &both, &old) != nil {
		return
	}
	change()
	unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
}

// takeBack makes supervise's group the foreground again after the job, as the shell above
// expects: from the job's group, or from one that the job has made and that is gone with
// it. A job that was ended by force had no chance to put the modes in order; one that
// ended by itself may have changed them on purpose, as stty does.
func (t *terminal) takeBack(j *supervisor.Job) {
	if t.fd < 0 {
		return
	}
	group := t.foreground()
	gone := group > 0 && unix.Kill(-group, 0) == unix.ESRCH
	t.alone = t.handed && group == j.PID()
	if group != t.group && (t.alone || (t.front || t.handed) && gone) {
		t.give(t.group)
	}
	if t.modes == nil || !j.EndedByForce() || t.foreground() != t.group {
		return
	}
	if now, err := unix.IoctlGetTermios(t.fd, unix.TCGETS); err != nil || *now == *t.modes {
		return
	}
	// TCSETSW waits until what the job has written is out (tcsetattr(3)).
	fromBehind(func() { unix.IoctlSetTermios(t.fd, unix.TCSETSW, t.modes) })
}

// interrupted says whether sig, which ended the job, came from the keyboard: a script must
// not go on after Ctrl-C. It tells the others in supervise's process group, which without
// supervise would have got it too.
func (t *terminal) interrupted(sig unix.Signal) bool {
	if t.fd < 0 || sig != unix.SIGINT && sig != unix.SIGQUIT || t.foreground() != t.group {
		return false
	}
	if t.alone {
		signals.Ignore(sig)
		unix.Kill(0, sig)
	}
	return true
}
