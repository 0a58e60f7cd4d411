package proc

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// SignalHeld sends a signal to a process that is frozen or stopped, so that its main thread
// gets it, unless that blocks it: so the kernel would choose if the process ran
// (complete_signal in kernel/signal.c). But no thread of it can be woken now, and what is sent
// to the process is taken by the first thread that runs again, any of them. The main thread of
// a Python program, where its handlers run, may sleep on then. The receiver sees SI_TKILL
// where kill(2) has SI_USER. The error is that of kill(2) or tgkill(2).
func SignalHeld(pid int, sig unix.Signal) error {
	if sig != unix.SIGKILL && hasThreads(pid) && !blocks(pid, sig) {
		if err := unix.Tgkill(pid, pid, sig); err != unix.ESRCH { // the main thread has exited, and others live
			return err
		}
	}
	return unix.Kill(pid, sig)
}

// hasThreads says whether a process has more than one: each has a directory in its task.
func hasThreads(pid int) bool {
	var st unix.Stat_t
	return unix.Stat("/proc/"+strconv.Itoa(pid)+"/task", &st) == nil && st.Nlink > 3
}

// blocks says whether the main thread of a process blocks a signal. What is not known it blocks.
func blocks(pid int, sig unix.Signal) bool {
	text, err := Read(pid, "status", 8<<10)
	if err != nil {
		return true
	}
	_, rest, _ := bytes.Cut(text, []byte("\nSigBlk:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	mask, err := strconv.ParseUint(string(line), 16, 64)
	return err != nil || mask>>(sig-1)&1 != 0
}
