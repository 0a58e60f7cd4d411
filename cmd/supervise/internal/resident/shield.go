package resident

import "golang.org/x/sys/unix"

// Shield keeps the other processes of the same user, which the job may be, from tracing this
// process, from opening its descriptors in /proc/PID/fd (one byte in the guardian's pipe would
// dismiss the guardian), and from writing its oom_score_adj: what is not dumpable is for root
// alone (PR_SET_DUMPABLE(2const)). A twin inherits it, and execve(2) ends it: the job is as
// dumpable as ever. This process still reads its own files below /proc/self, and follows the
// links there; those of the mode 0400 it could not open, nor any of them for writing.
func Shield() { unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
