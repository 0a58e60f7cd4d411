package signals

import "golang.org/x/sys/unix"

// Ignored says whether a signal was ignored when this process was executed.
func Ignored(sig unix.Signal) bool { return ignored.has(sig) }

// AllIgnored are those signals, as a set of the kernel's: signal n is bit n-1.
func AllIgnored() uint64 { return uint64(ignored) }

// CaughtStops are those caught signals that stop a process by default, if a child may keep their
// handler until it executes a program: what it is sent by then is told as sent to this process, if the
// child has the pipe still. By vfork(2) a child that stopped instead would hold up this process.
func CaughtStops() uint64 {
	if !bare {
		return 0
	}
	return uint64(caught & setOf(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU))
}
