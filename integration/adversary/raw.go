package main

import (
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions marked nosplit are all that a child of fork may call: raw system calls on the stack it was born with. It has
// one thread, and neither a scheduler nor a collector, so nothing in it may allocate, block in the runtime or grow the stack.

// fork is fork(2): 0 in the child, negative on failure.
//
//go:nosplit
func fork() int {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return -1
	}
	return int(pid)
}

//go:nosplit
func rawExit() {
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
}

//go:nosplit
func rawSetsid() {
	unix.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
}

// limit is how long anything here lives, should nobody end it: a failed test must not leave a machine behind that forks.
const limit = 5 * 60 // seconds

// birth is when the program started (CLOCK_MONOTONIC_COARSE).
var birth unix.Timespec

//go:nosplit
func readClock(t *unix.Timespec) {
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC_COARSE, uintptr(unsafe.Pointer(t)), 0)
}

// endAtLimit ends a process that has run for too long.
//
//go:nosplit
func endAtLimit() {
	var now unix.Timespec
	readClock(&now)
	if now.Sec-birth.Sec > limit {
		rawExit()
	}
}

// forever blocks. ppoll and not pause, which not every architecture has, and which knows no limit.
//
//go:nosplit
func forever() {
	for {
		wait := unix.Timespec{Sec: limit}
		unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(&wait)), 0, 0, 0)
		endAtLimit()
	}
}

//go:nosplit
func stopSelf() {
	pid, _, _ := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
	unix.RawSyscall(unix.SYS_KILL, pid, uintptr(unix.SIGSTOP), 0)
}

// dot is what tell and the busy tree write.
var dot = [1]byte{'.'}

//go:nosplit
func writeDot(fd int) {
	unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&dot[0])), 1)
}

// lurker is the name of the children that stay, as the record of leftovers shows it.
var lurker = [16]byte{'l', 'u', 'r', 'k', 'e', 'r'}

// tellFd is the write end of the pipe on which children say that they are in place.
var tellFd int

// lurk says that it is there, and stays.
//
//go:nosplit
func lurk() {
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&lurker[0])), 0)
	writeDot(tellFd)
	forever()
}

// lurkAsDaemon forks once more, so that the parent of what stays is gone.
//
//go:nosplit
func lurkAsDaemon() {
	rawSetsid()
	if fork() == 0 {
		for fd := range uintptr(3) {
			unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		}
		lurk()
	}
	rawExit()
}

// spawn runs child, which is made of the functions above, in a new process.
//
//go:nosplit
func spawn(child func()) int {
	pid := fork()
	if pid == 0 {
		child()
		rawExit()
	}
	return pid
}

// spawnAll starts n children and waits until tells of them (or of their descendants) have told that they are in place.
func spawnAll(n int, child func(), tells int) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	tellFd = int(w.Fd())
	for i := range n {
		if spawn(child) < 0 {
			return fmt.Errorf("fork %d of %d failed", i, n)
		}
	}
	w.Close() // so that the read fails, and does not hang, if the children die
	_, err = readN(r, tells)
	return err
}

//go:nosplit
func readByte(fd int, b *[1]byte) {
	unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(b)), 1)
}

// readN waits for n bytes.
func readN(r io.Reader, n int) (int, error) {
	return io.ReadFull(r, make([]byte, n))
}
