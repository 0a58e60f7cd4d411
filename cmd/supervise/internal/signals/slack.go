package signals

import "golang.org/x/sys/unix"

// entrySlack is the timer slack at the entry, in nanoseconds (PR_GET_TIMERSLACK(2const)); 0 or
// less: it is not known, and was not changed.
var entrySlack int64

// init undoes what entry_*.s has done to this thread: see TimerSlack.
func init() { TimerSlack() }

// TimerSlack gives the calling thread the timer slack that the program began with, and so the
// jobs that it starts. At the entry the slack is set to 10 ms, for the sake of a thread that
// Go's runtime starts before all else: sysmon, which wakes every 70 us, preempts the one thread
// that works, and made a tenth of the time from start to exit. A thread begins with the slack
// of its parent, and sysmon now wakes with the next tick. Threads other than the first call this.
func TimerSlack() {
	if entrySlack > 0 {
		unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(entrySlack), 0, 0, 0)
	}
}
