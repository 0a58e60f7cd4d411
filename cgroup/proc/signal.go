package proc

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SignalHeld sends a signal to a process that is frozen or stopped, for its main thread to
// receive, unless that one blocks it or has exited. The kernel would choose the same thread if
// the process ran (complete_signal in kernel/signal.c). As it is, no thread can be woken now,
// and what is sent to the process is taken by whichever thread runs first: the main thread of
// a Python program, where its handlers run, may sleep on then. The receiver sees SI_TKILL
// where kill(2) has SI_USER. The error is that of kill(2) or tgkill(2).
func SignalHeld(pid int, sig unix.Signal) error {
	if sig > 0 && sig != unix.SIGKILL && hasThreads(pid) && mainReceives(pid, sig) {
		if err := unix.Tgkill(pid, pid, sig); err != unix.ESRCH {
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

// mainReceives says whether the main thread of a process is known to receive a signal that is
// sent to it. One that has exited is a zombie while others live: tgkill(2) succeeds, and the
// signal is lost.
func mainReceives(pid int, sig unix.Signal) bool {
	text, err := Read(pid, "status", 8<<10)
	if err != nil {
		return false
	}
	mask, err := strconv.ParseUint(field(text, "SigBlk"), 16, 64)
	return err == nil && mask>>(sig-1)&1 == 0 && !strings.ContainsAny(field(text, "State"), "ZX")
}

// field is a line of /proc/PID/status without its name.
func field(status []byte, name string) string {
	_, rest, _ := bytes.Cut(status, []byte("\n"+name+":\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(line)
}
