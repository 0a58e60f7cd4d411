//go:build amd64 || arm64

package signals

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// This is the self-pipe: a handler of a few instructions writes the siginfo_t
// into a pipe, and a goroutine reads the other end. Go's os/signal does the same
// through the runtime, at a price that a short job feels: 30 us for each signal
// caught, against 0.2 us.

const infoSize = 128 // SI_MAX_SIZE

// Catch catches SIGCHLD and the given signals for the rest of the process's
// life; call it once. A signal that is ignored stays ignored, for the job to
// inherit (Go's runtime leaves only SIGHUP and SIGINT as they were).
func Catch(signals []unix.Signal) (*Caught, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(pipe[1], true); err != nil { // a handler must not block
		return nil, os.NewSyscallError("fcntl", err)
	}
	unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, 1<<20) // room for 8192, if we may
	setPipe(pipe[1])
	for _, sig := range append([]unix.Signal{unix.SIGCHLD}, signals...) {
		ignored, err := isIgnored(sig)
		if !ignored && err == nil {
			err = Again(sig)
		}
		if err != nil {
			return nil, fmt.Errorf("catching %s: %w", unix.SignalName(sig), err)
		}
	}
	children, others := make(chan struct{}, 1), make(chan unix.Signal, queueSize)
	go read(pipe[0], children, others) // ends with the process
	return &Caught{children, others}, nil
}

// read takes signals out of the pipe; the kernel writes each siginfo_t whole.
func read(fd int, children chan<- struct{}, others chan<- unix.Signal) {
	buf := make([]byte, 8*infoSize)
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 && err != unix.EINTR {
			return
		}
		for info := buf[:max(n, 0)]; len(info) >= infoSize; info = info[infoSize:] {
			if sig := unix.Signal(binary.NativeEndian.Uint32(info)); sig != unix.SIGCHLD { // si_signo is at offset 0
				others <- sig
			}
		}
		select {
		case children <- struct{}{}: // whatever it was: a SIGCHLD may have found the pipe full
		default: // one says as much as many
		}
		runtime.Gosched() // let who waits for it run on this thread, instead of waking another
	}
}
