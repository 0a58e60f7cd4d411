package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// catchChildren returns the channel of SIGCHLD.
func catchChildren() <-chan os.Signal {
	c := make(chan os.Signal, 1) // one is enough: it says "look"
	signal.Notify(c, unix.SIGCHLD)
	return c
}

// fatalSignals are caught before a job starts: left to Go's runtime they would
// end us. Forwarded too are otherSignals, caught when the job runs already, for
// each costs microseconds.
var (
	fatalSignals = []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}
	otherSignals = []unix.Signal{
		unix.SIGCONT, unix.SIGTSTP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGALRM, unix.SIGABRT,
		unix.SIGTRAP, unix.SIGVTALRM, unix.SIGPROF, unix.SIGXCPU, unix.SIGXFSZ, unix.SIGIO, unix.SIGPWR,
		unix.SIGSTKFLT, unix.SIGSYS,
	}
)

// Signals from 34 on are real-time signals; 32 and 33 belong to the C library.
const minRealTime, maxSignal = 34, 64

// catch adds signals to a channel. One that was ignored when we started stays
// ignored, and the job inherits that (Go can tell for SIGHUP and SIGINT only).
func catch(c chan<- os.Signal, signals []unix.Signal) {
	for _, sig := range signals {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
}

func realTimeSignals() (signals []unix.Signal) {
	for sig := minRealTime; sig <= maxSignal; sig++ {
		signals = append(signals, unix.Signal(sig))
	}
	return signals
}

// dieOf ends this process by a signal, as the job was, for a parent that looks.
func dieOf(sig unix.Signal) {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // the core, if any, is the job's
	signal.Reset(sig)
	unix.Kill(os.Getpid(), sig)
	select {} // until it arrives
}
