// Package signals turns the signals sent to this process into something to poll.
package signals

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// infoSize is the size of a siginfo_t (SI_MAX_SIZE).
const infoSize = 128

// Caught is where signals arrive. SIGCHLD has a place of its own, where it is no loss
// that one stands for many: however fast children end, the others find room.
type Caught struct {
	fd    int // the read end of a pipe of siginfo_t
	child int // the same for SIGCHLD
}

// FD returns a descriptor that is readable when signals other than SIGCHLD have
// arrived.
func (c *Caught) FD() int { return c.fd }

// ChildFD returns a descriptor that is readable when SIGCHLD has arrived.
func (c *Caught) ChildFD() int { return c.child }

// ReadChild takes SIGCHLD, at most 32, and returns the pids that they are about, in
// order; none if there are none. The kernel keeps one while it is pending, so others
// may have ended as well.
func (c *Caught) ReadChild() (pids []int) {
	var buf [32 * infoSize]byte
	n, _ := unix.Read(c.child, buf[:])
	for info := buf[:max(n, 0)]; len(info) >= infoSize; info = info[infoSize:] {
		pids = append(pids, infoField(info, 16))
	}
	return pids
}

// A Signal is what a siginfo_t says: its si_signo, and the si_pid of the sender, 0
// if that is the kernel or is not known. Kernel says that it is: the terminal, say. Held says
// that it was ignored or blocked when this process was executed: it is for the job to take
// or to leave, as without supervise, and means nothing to supervise.
type Signal struct {
	Signal unix.Signal
	From   int
	Kernel bool
	Held   bool
}

// Read takes signals, in order, at most 32; none if there are none.
func (c *Caught) Read() []Signal {
	var buf [32 * infoSize]byte
	n, _ := unix.Read(c.fd, buf[:]) // the kernel writes each siginfo_t whole
	var list []Signal
	for info := buf[:max(n, 0)]; len(info) >= infoSize; info = info[infoSize:] {
		list = append(list, parseInfo(info))
	}
	return list
}

// Catch catches SIGCHLD and the given signals for the rest of the process's
// life; call it once. Those that were ignored or blocked when this process was executed
// are caught as well, and told as held.
func Catch(signals []unix.Signal) (*Caught, error) {
	var pipe, child [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil { // a handler must not block
		return nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.Pipe2(child[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	setPipes(pipe[1], child[1])
	for _, sig := range append([]unix.Signal{unix.SIGCHLD}, signals...) {
		if !canCatch(sig) {
			continue
		}
		if err := Again(sig); err != nil {
			return nil, fmt.Errorf("catching signal %d: %w", sig, err)
		}
		caught |= setOf(sig)
	}
	hold()
	return &Caught{pipe[0], child[0]}, nil
}

// parseInfo reads a siginfo_t of a 64-bit architecture (sigaction(2)):
//
//	offset 0 int32 si_signo, 4 int32 si_errno, 8 int32 si_code, 16 int32 si_pid, 20 uint32 si_uid
func parseInfo(info []byte) Signal {
	s := Signal{Signal: unix.Signal(infoField(info, 0)), Kernel: infoField(info, 8) == siKernel}
	if code := infoField(info, 8); code == siUser || code == siTKill || code == siQueue {
		s.From = infoField(info, 16)
	}
	s.Held = (ignored | blocked).has(s.Signal)
	return s
}

func infoField(info []byte, offset int) int {
	return int(int32(binary.NativeEndian.Uint32(info[offset:])))
}

// Values of si_code for signals from processes: kill(2), tgkill(2), sigqueue(3).
const siUser, siTKill, siQueue = 0, -6, -1

// siKernel is the si_code of signals that the kernel sends of its own accord.
const siKernel = 0x80
