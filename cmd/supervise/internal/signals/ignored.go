package signals

import "golang.org/x/sys/unix"

// Ignored says whether a signal was ignored when this process was executed.
func Ignored(sig unix.Signal) bool { return ignored.has(sig) }
