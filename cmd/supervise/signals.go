package main

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// fatalSignals end a process by default, and do not come from a fault of ours.
// SIGPIPE is not among them: what we write to is nobody else's affair.
var fatalSignals = append([]unix.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGABRT,
	unix.SIGTRAP, unix.SIGVTALRM, unix.SIGPROF, unix.SIGXCPU, unix.SIGXFSZ, unix.SIGIO, unix.SIGPWR,
	unix.SIGSTKFLT, unix.SIGSYS,
}, realTimeSignals()...)

// forwardedSignals reach the main process of "supervise run".
var forwardedSignals = append(slices.Clip(fatalSignals), unix.SIGCONT, unix.SIGTSTP, unix.SIGWINCH)

// Signals from 34 on are real-time signals; 32 and 33 belong to the C library.
const minRealTime, maxSignal = 34, 64

func realTimeSignals() (list []unix.Signal) {
	for sig := minRealTime; sig <= maxSignal; sig++ {
		list = append(list, unix.Signal(sig))
	}
	return list
}

// arriving are the signals that were caught, for the supervisor.
type arriving struct{ *signals.Caught }

// Read implements supervisor.Signals.
func (a arriving) Read() (list []supervisor.Signal) {
	for _, s := range a.Caught.Read() {
		list = append(list, supervisor.Signal{Signal: s.Signal, From: s.From})
	}
	return list
}

// dieOf ends this process by a signal, as the job was, for a parent that looks.
func dieOf(sig unix.Signal) {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // the core, if any, is the job's
	signals.Default(sig)
	unix.Kill(os.Getpid(), sig)
	select {} // until it arrives
}
