package signals

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Fatal are the signals that end a process by default and do not come from a fault of
// the program's own (signal(7)). SIGPIPE is not among them: whether a reader has gone
// concerns the job's own output, not supervise.
var Fatal = append([]unix.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGABRT,
	unix.SIGTRAP, unix.SIGVTALRM, unix.SIGPROF, unix.SIGXCPU, unix.SIGXFSZ, unix.SIGIO, unix.SIGPWR,
	unix.SIGSTKFLT, unix.SIGSYS,
}, realTime()...)

// Forwarded are the signals that "supervise run" passes on to the main process.
var Forwarded = append(slices.Clip(Fatal), unix.SIGCONT, unix.SIGTSTP, unix.SIGWINCH)

// Signals from 34 on are real-time signals; the C library keeps 32 and 33 for itself.
const minRealTime, maxSignal = 34, 64

func realTime() (list []unix.Signal) {
	for sig := minRealTime; sig <= maxSignal; sig++ {
		list = append(list, unix.Signal(sig))
	}
	return list
}

// Name returns the name of a signal, SIGTERM. A real-time signal has none of its own and
// is SIGRTMIN+n as in signal(7), with SIGRTMIN as the C library has it.
func Name(sig unix.Signal) string {
	if name := unix.SignalName(sig); name != "" || sig < minRealTime {
		return cmp.Or(name, fmt.Sprintf("SIG%d", int(sig)))
	}
	return fmt.Sprintf("SIGRTMIN+%d", int(sig)-minRealTime)
}

// Number is the signal of a name that Name gave; 0: it gave none such. Parse is for what a
// user writes, and does not take SIG32 and SIG33, which the C library keeps for itself and
// which can end a process all the same.
func Number(name string) unix.Signal {
	for sig := unix.Signal(1); sig <= maxSignal; sig++ {
		if Name(sig) == name {
			return sig
		}
	}
	return 0
}

// Parse reads TERM, SIGTERM, 15 or SIGRTMIN+1, in upper or lower case.
func Parse(word string) (unix.Signal, error) {
	name := strings.ToUpper(word)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	n, err := strconv.Atoi(word)
	if rest, ok := strings.CutPrefix(name, "SIGRTMIN+"); ok {
		n, err = strconv.Atoi(rest)
		n += minRealTime
	}
	if err != nil || n < 1 || n > maxSignal {
		return 0, errors.New("want a signal such as TERM, SIGINT or 15")
	}
	return unix.Signal(n), nil
}

// DieOf ends this process by a signal, as the job ended, for a parent that looks at the
// status.
func DieOf(sig unix.Signal) {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // the core dump, if any, is the job's
	Default(sig)
	unix.Kill(unix.Getpid(), sig)
	select {} // until it arrives
}
