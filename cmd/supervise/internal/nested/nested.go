// Package nested is what a server says to a supervise below it: the arguments by which it
// starts that, the first message that comes back, and the usage that follows events.
//
// Where there are no cgroups a server (see Served) holds its jobs by supervises of their own: it
// gives each job a subreaper, so that the job's orphans stay with it, and hears of the job over
// a SOCK_SEQPACKET socket:
//
//	first message:  int32 pid of the main process, int32 errno if it could not be started
//	the others:     protocol.Event, and the usage of a process that has ended
//	from the server: protocol.Request; pid -1 is every process; the end of it ends the job
//
// The record comes by a pipe.
package nested

import (
	"encoding/binary"
	"errors"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Exe is this program's executable.
const Exe = "/proc/self/exe"

// WholeJob is the pid of a request that is for every process of a job.
const WholeJob = -1

// A Job is what a server wants a nested supervise to run.
type Job struct {
	Name, Program string
	Leftovers     protocol.Leftovers
	Reason        string // why there is no cgroup
	Argv          []string
}

// Served returns the arguments of the supervise that holds a server's job. Its socket and
// its record's pipe are the descriptors fd and fd+1, behind the job's own; terminal is the
// number of the one that becomes the job's controlling terminal, or -1.
func Served(j *Job, fd, terminal int) []string {
	leftovers := j.Leftovers
	if leftovers == "" {
		leftovers = protocol.LeftoversKill
	}
	args := []string{
		"supervise", "run", "--no-guard", "--contain=subreaper", "--fallback-reason=" + j.Reason,
		"--events=fd:" + strconv.Itoa(fd), "--record=fd:" + strconv.Itoa(fd+1), "--program=" + j.Program,
		"--name=" + j.Name, "--leftovers=" + string(leftovers),
	}
	if terminal >= 0 {
		args = append(args, "--tty="+strconv.Itoa(terminal))
	}
	return append(append(args, "--"), j.Argv...)
}

// startLimit bounds the start of a program that is supervise itself.
const startLimit = 10 * time.Second

// AwaitStarted waits for the first message: the pid of the main process, or why there is
// none, a bare errno where execve(2) gave one.
func AwaitStarted(fd int) (pid int, err error) {
	deadline := time.Now().Add(startLimit)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds())); err == unix.EINTR && time.Now().Before(deadline) {
			continue
		}
		break
	}
	var first [8]byte
	size, _, err := unix.Recvfrom(fd, first[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC) // an event would be longer
	if err != nil || size != len(first) {
		return 0, errors.New("the supervisor of the job did not start")
	}
	if errno := binary.NativeEndian.Uint32(first[4:]); errno != 0 {
		return 0, syscall.Errno(errno)
	}
	return int(binary.NativeEndian.Uint32(first[:])), nil
}

// TellStarted sends the first message. An error that wraps no errno is told as EIO.
func TellStarted(fd, pid int, err error) {
	var first [8]byte
	errno := unix.EIO
	if errors.As(err, &errno); err != nil {
		binary.NativeEndian.PutUint32(first[4:], uint32(errno))
	}
	binary.NativeEndian.PutUint32(first[:], uint32(pid))
	for range 100 { // the socket is empty, so there is room; but the kernel may lack memory
		if _, err := unix.SendmsgN(fd, first[:], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT); wire.Later(err) != unix.EAGAIN {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
