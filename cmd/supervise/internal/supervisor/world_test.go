package supervisor

import (
	"errors"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A world stands for the kernel and all processes: it is what the loop of the model test waits for, and kills in. Its time is
// that of a synctest bubble, which passes in ppoll alone.
type world struct {
	r       *rand.Rand
	next    int // pid
	live    []*being
	changes []change // to be waited for, in the order in which they came
	chld    bool     // SIGCHLD is pending
	hints   []int    // keys of the watcher
	asked   bool     // the owner has something to say
	calm    bool     // nothing new happens any more
	handed  []change // by waitid, and not told yet
	blocked func() bool
	broken  func(format string, args ...any)
}

// A being is a process, from its birth until it is waited for.
type being struct {
	pid, parent int
	in          *enclosure // nil: it has moved out
	of          *enclosure
	dead        bool
	stopped     bool
	stubborn    bool // ignores what it can
	hangs       bool // in the kernel: it cannot die
	doomed      unix.Signal
}

// A change is one of the status of a child of ours.
type change struct {
	pid    int
	code   protocol.Code
	status int
}

// firstPID is above any real one (PID_MAX_LIMIT is 1<<22), so that a real kill(2) would hit none.
const firstPID = 1 << 23

func (w *world) chance(percent float64) bool { return w.r.Float64()*100 < percent }

func (w *world) find(pid int) *being {
	for _, b := range w.live {
		if b.pid == pid {
			return b
		}
	}
	return nil
}

func (w *world) born(parent int, of *enclosure) *being {
	w.next++
	b := &being{pid: firstPID + w.next, parent: parent, in: of, of: of, stubborn: w.chance(20)}
	w.live = append(w.live, b)
	return b
}

// die ends a process. Its parent is told if that is us; any other reaps it at once. Its children become ours.
func (w *world) die(b *being, code protocol.Code, status int) {
	if b.dead {
		return
	}
	b.dead = true
	in := b.in
	for _, child := range w.live {
		if child.parent == b.pid {
			child.parent = 0
		}
	}
	w.changes = slices.DeleteFunc(w.changes, func(c change) bool { return c.pid == b.pid })
	if b.parent == 0 {
		w.change(b, code, status)
	} else {
		w.forget(b)
	}
	if in != nil && in.count() == 0 && in.key != 0 && w.chance(80) { // the kernel may swallow a notification
		w.hints = append(w.hints, in.key)
	}
}

func (w *world) forget(b *being) {
	w.live = slices.DeleteFunc(w.live, func(other *being) bool { return other == b })
}

func (w *world) change(b *being, code protocol.Code, status int) {
	if b.parent != 0 {
		return
	}
	w.changes = slices.DeleteFunc(w.changes, func(c change) bool { return c.pid == b.pid }) // a later one takes its place
	w.changes = append(w.changes, change{b.pid, code, status})
	w.chld = true
}

// signal is what a process does about one.
func (w *world) signal(b *being, sig unix.Signal) {
	switch {
	case b.dead:
	case sig == unix.SIGKILL:
		if b.doomed = sig; !b.hangs {
			w.die(b, protocol.Killed, int(sig))
		}
	case sig == unix.SIGSTOP && !b.stopped:
		b.stopped = true
		w.change(b, protocol.Stopped, int(sig))
	case sig == unix.SIGCONT && b.stopped:
		b.stopped = false
		w.change(b, protocol.Continued, int(sig))
		if b.doomed != 0 && !b.hangs {
			w.die(b, protocol.Killed, int(b.doomed))
		}
	case sig == unix.SIGSTOP, sig == unix.SIGCONT, b.stubborn:
	case b.stopped || b.hangs:
		b.doomed = sig
	default:
		w.die(b, protocol.Killed, int(sig))
	}
}

// kill is kill(2), of one process.
func (w *world) kill(pid int, sig unix.Signal) error {
	b := w.find(pid)
	if b == nil {
		return unix.ESRCH
	}
	w.signal(b, sig)
	return nil
}

// waitid is waitid(2), for WNOHANG.
func (w *world) waitid(idType, id, options int, _ *unix.Rusage) (*protocol.Event, error) {
	children := false
	for _, b := range w.live {
		children = children || b.parent == 0 && (idType == unix.P_ALL || b.pid == id)
	}
	if !children {
		return &protocol.Event{}, unix.ECHILD
	}
	for i, c := range w.changes {
		want := c.code.Ended() && options&unix.WEXITED != 0 || c.code == protocol.Stopped && options&unix.WSTOPPED != 0 ||
			c.code == protocol.Continued && options&unix.WCONTINUED != 0
		if !want || idType == unix.P_PID && c.pid != id {
			continue
		}
		if options&unix.WNOWAIT == 0 {
			w.changes = slices.Delete(w.changes, i, i+1)
			w.handed = append(w.handed, c)
			if c.code.Ended() {
				w.forget(w.find(c.pid))
			}
			if w.blocked() {
				w.broken("%v was reaped, though the owner takes nothing", c)
			}
		}
		return protocol.NewEvent(c.code, c.pid, 0, c.status), nil
	}
	return &protocol.Event{}, nil
}

// happen has something happen to some process.
func (w *world) happen() {
	if len(w.live) == 0 {
		return
	}
	b := w.live[w.r.IntN(len(w.live))]
	switch dice := w.r.IntN(100); {
	case b.dead:
	case dice < 5:
		if b.hangs = !b.hangs && !w.calm; !b.hangs && b.doomed != 0 {
			w.die(b, protocol.Killed, int(b.doomed))
		}
	case b.hangs || b.stopped && dice < 80:
	case dice < 45:
		w.die(b, protocol.Exited, w.r.IntN(4))
	case dice < 50:
		w.die(b, protocol.Dumped, int(unix.SIGSEGV))
	case dice < 75 && !w.calm && len(w.live) < 60:
		child := w.born(b.pid, b.of)
		child.in = b.in
	case dice < 80 && !w.calm:
		w.signal(b, unix.SIGSTOP)
	case dice < 85:
		w.signal(b, unix.SIGCONT)
	case dice < 87 && !w.calm:
		b.in = nil
	}
}

// An enclosure is a containment, which may fail.
type enclosure struct {
	w       *world
	key     int // of the watcher; 0: it is not watched
	main    int
	kills   int
	signals int
	closed  int
	failed  bool // it was told an error
}

var errPassing = errors.Join(errors.New("reading cgroup.events"), unix.EMFILE)

// fails says whether this call fails, now and then.
func (h *enclosure) fails(percent float64) error {
	if h.w.calm || !h.w.chance(percent) {
		return nil
	}
	h.failed = true
	return errPassing
}

func (h *enclosure) members() (list []*being) {
	for _, b := range h.w.live {
		if b.in == h && !b.dead {
			list = append(list, b)
		}
	}
	return list
}

func (h *enclosure) count() int { return len(h.members()) }

func (h *enclosure) Start(string, []string, *syscall.ProcAttr) (int, error) {
	if h.w.chance(3) {
		return 0, unix.EAGAIN
	}
	h.main = h.w.born(0, h).pid
	return h.main, nil
}

func (h *enclosure) Signal(sig unix.Signal) error {
	h.signals++
	if err := h.fails(3); err != nil {
		return err
	}
	for _, b := range h.members() {
		h.w.signal(b, sig)
	}
	return nil
}

// Kill may miss a process.
func (h *enclosure) Kill() error {
	if err := h.fails(3); err != nil {
		h.kills++
		return err
	}
	h.killAll()
	return nil
}

func (h *enclosure) killAll() {
	h.kills++
	for _, b := range h.members() {
		if h.w.calm || !h.w.chance(3) {
			h.w.signal(b, unix.SIGKILL)
		}
	}
}

func (h *enclosure) Empty() (bool, error) {
	if err := h.fails(1); err != nil {
		return false, err
	}
	return h.count() == 0, nil
}

func (h *enclosure) Procs() (pids []int, err error) {
	for _, b := range h.members() {
		pids = append(pids, b.pid)
	}
	return pids, h.fails(1)
}

func (h *enclosure) Close() error {
	h.closed++
	return h.fails(1)
}

// sweep kills what is in no containment.
func (w *world) sweep() error {
	for _, b := range slices.Clone(w.live) {
		if b.in == nil {
			w.signal(b, unix.SIGKILL)
		}
	}
	return nil
}

// notices are the watcher.
type notices struct{ w *world }

// Descriptors that are none: ppoll is the world's.
const (
	hintFD  = 1 << 20
	ownerFD = hintFD + 1
)

func (notices) FD() int { return hintFD }

func (h notices) Read() []int {
	keys := h.w.hints
	h.w.hints = nil
	return keys
}

// ready says which descriptors are.
func (w *world) ready(fds []unix.PollFd) (n int) {
	for i := range fds {
		is := false
		switch int(fds[i].Fd) {
		case caught.ChildFD():
			is = w.chld
			w.chld = false
		case hintFD:
			is = len(w.hints) > 0
		case ownerFD:
			is = w.asked
		}
		if fds[i].Revents = 0; is {
			fds[i].Revents = unix.POLLIN
			n++
		}
	}
	return n
}

// sleep has time pass, up to the timeout of a ppoll, and says what is left of that.
func (w *world) sleep(timeout *unix.Timespec) (over bool) {
	d := time.Duration(w.r.IntN(400)) * time.Millisecond
	if timeout != nil {
		most := time.Duration(timeout.Nano())
		if d >= most || w.calm {
			d, over = most, true
		}
		*timeout = unix.NsecToTimespec(int64(most - d))
	}
	time.Sleep(d)
	return over
}
