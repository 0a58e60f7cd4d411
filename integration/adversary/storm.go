package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bomb starts a fork bomb and returns when at least half of it has hit the limit. The program itself stays outside the limit: its runtime
// must be able to start threads.
func bomb(o options) error {
	if o.uid == 0 && os.Geteuid() == 0 {
		return errors.New("the kernel does not hold root to RLIMIT_NPROC: give -uid")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", "bomb-root", fmt.Sprintf("-count=%d", o.count))
	cmd.Args[0] = "bomb"
	// 3 is the leak pipe, as it is here.
	cmd.ExtraFiles = []*os.File{os.NewFile(3, "leak"), w}
	if o.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.uid)}}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.Close()
	fmt.Println("main", os.Getpid())
	// Half of them, as others of this user count too.
	if _, err := readN(r, o.count/2); err != nil {
		return fmt.Errorf("the bomb did not go off: %w", err)
	}
	return nil
}

// bombRoot is the first process of the bomb. It does not return.
func bombRoot(o options) error {
	limit := unix.Rlimit{Cur: uint64(o.count), Max: uint64(o.count)}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		return os.NewSyscallError("setrlimit", err)
	}
	tellFd = 4
	explode()
	return nil
}

// explode forks as fast as the kernel allows, and so does each child. Every process tells once that it hit the limit; the
// pipe holds a byte for each, so that none blocks. They stay in one session: where the scheduler groups by session
// (sched_autogroup), one session each would starve everybody else, which tells about the scheduler and not the supervisor.
//
//go:nosplit
func explode() {
	told := false
	for {
		endAtLimit()
		switch pid := fork(); {
		case pid == 0:
			told = false
		case pid < 0 && !told:
			told = true
			writeDot(tellFd)
		}
	}
}

// busy starts count lineages, all different processes by the time anyone looks, and the same number of processes that fork
// children which end at once. It is bounded: each process has one successor.
func busy(o options) error {
	step = unix.NsecToTimespec(int64(o.pause) * 1000)
	if err := spawnAll(o.count, hop, o.count); err != nil {
		return err
	}
	return spawnAll(o.count, churn, o.count)
}

var step unix.Timespec

//go:nosplit
func rest() {
	if step.Nsec != 0 || step.Sec != 0 {
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&step)), 0, 0)
	}
}

// hop is a process that forks its successor and ends: an orphan of an orphan. Every other one is a session of its own.
//
//go:nosplit
func hop() {
	writeDot(tellFd)
	for odd := false; ; odd = !odd {
		switch pid := fork(); {
		case pid > 0:
			rawExit()
		case pid == 0 && odd:
			rawSetsid()
		}
		writeDot(1)
		endAtLimit()
		rest()
	}
}

// churn forks children that end at once, and waits for them.
//
//go:nosplit
func churn() {
	writeDot(tellFd)
	for {
		endAtLimit()
		pid := fork()
		if pid == 0 {
			rawExit()
		}
		unix.RawSyscall6(unix.SYS_WAIT4, uintptr(pid), 0, 0, 0, 0, 0)
		rest()
	}
}

// vfork has count threads that hang in vfork: the kernel leaves them in a sleep that only SIGKILL ends, so they cannot be
// stopped either.
func vfork(o options) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	tellFd = int(w.Fd())
	// A thread that hangs keeps its processor of the scheduler, as the runtime does not know.
	runtime.GOMAXPROCS(o.count + 2)
	for range o.count {
		go hangInVfork(uintptr(tellFd)) // ends with the program
	}
	_, err = readN(r, o.count)
	return err
}

// flood sends the parent two signals in turn, and ignores what comes back.
func flood(o options) error {
	signal.Ignore(unix.SIGWINCH, unix.SIGUSR1)
	parent := os.Getppid()
	for range o.count / 2 {
		unix.Kill(parent, unix.SIGWINCH)
		unix.Kill(parent, unix.SIGUSR1)
	}
	return nil
}
