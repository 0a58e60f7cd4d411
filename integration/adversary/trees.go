package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func setsid(o options) error {
	return spawnAll(o.count, lurkInSession, o.count)
}

//go:nosplit
func lurkInSession() {
	rawSetsid()
	lurk()
}

func daemon(o options) error {
	if err := spawnAll(o.count, lurkAsDaemon, o.count); err != nil {
		return err
	}
	return reap(o.count)
}

// reap waits for n children to end.
func reap(n int) error {
	for range n {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil {
			return err
		}
	}
	return nil
}

// stubborn ignores what asks politely. Ignored signals stay so in children.
func stubborn(o options) error {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	return spawnAll(o.count, lurk, o.count)
}

func subreaper(o options) error {
	return spawnAll(1, reapAndLurk, o.count+1)
}

// orphans is how many daemons the subreaper makes.
const orphans = 4

// reapAndLurk becomes a subreaper and makes orphans, which thereby become its children and not the supervisor's.
//
//go:nosplit
func reapAndLurk() {
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_CHILD_SUBREAPER, 1, 0)
	for range orphans {
		if fork() == 0 {
			lurkAsDaemon()
		}
	}
	lurk()
}

// stopped has count children that are stopped, each the parent of one that runs.
func stopped(o options) error {
	if err := spawnAll(o.count, stopWithChild, o.count); err != nil {
		return err
	}
	for range o.count {
		var status unix.WaitStatus
		if _, err := unix.Wait4(-1, &status, unix.WUNTRACED, nil); err != nil {
			return err
		}
	}
	return nil
}

//go:nosplit
func stopWithChild() {
	if fork() == 0 {
		lurkInSession()
	}
	stopSelf()
	forever()
}

// zombies leaves count children unwaited. They hold the pipe until they have ended.
func zombies(o options) error {
	if err := spawnAll(o.count, rawExit, 1); err != io.EOF {
		return err
	}
	return nil
}

func setuid(o options) error {
	otherUser = uintptr(o.uid)
	return spawnAll(o.count, lurkAsOther, o.count)
}

var otherUser uintptr

//go:nosplit
func lurkAsOther() {
	_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, otherUser, otherUser, otherUser)
	if errno != 0 {
		rawExit()
	}
	lurkInSession()
}

// linger leaves a child that ends when descriptor 4 does, and writes a dot before, for --leftovers=wait.
func linger(o options) error {
	return spawnAll(o.count, untilFd4, o.count)
}

//go:nosplit
func untilFd4() {
	var b [1]byte
	writeDot(tellFd)
	readByte(4, &b)
	writeDot(1)
	rawExit()
}

// signals prints a line for each signal. With -exit it ends at TERM with that status.
func signals(o options) error {
	c := make(chan os.Signal, 64)
	signal.Notify(c)
	signal.Reset(unix.SIGURG, unix.SIGCHLD) // the runtime's own
	go func() {                             // ends with the program
		for s := range c {
			sig := s.(unix.Signal)
			name := unix.SignalName(sig)
			if name == "" { // of real time
				name = fmt.Sprintf("signal %d", int(sig))
			}
			fmt.Println("got", name)
			if sig == unix.SIGTERM && o.exit != 0 {
				os.Exit(o.exit)
			}
		}
	}()
	return nil
}
