package signals

import "golang.org/x/sys/unix"

// Ignored says whether a signal was ignored when this process was executed.
func Ignored(sig unix.Signal) bool { return ignored.has(sig) }

// AllIgnored are those signals, as a set of the kernel's: signal n is bit n-1.
func AllIgnored() uint64 { return uint64(ignored) }
