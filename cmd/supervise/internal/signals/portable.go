//go:build !amd64 && !arm64

package signals

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Where there is no handler in assembly, Go's runtime serves.

var caught = make(chan os.Signal, queueSize)

// Catch catches SIGCHLD and the given signals for the rest of the process's
// life; call it once. A signal that is ignored stays ignored, for the job to
// inherit (Go's runtime leaves only SIGHUP and SIGINT as they were).
func Catch(signals []unix.Signal) (*Caught, error) {
	childEnded := make(chan os.Signal, 1)
	signal.Notify(childEnded, unix.SIGCHLD)
	for _, sig := range signals {
		if !signal.Ignored(sig) {
			signal.Notify(caught, sig)
		}
	}
	children, others := make(chan struct{}), make(chan unix.Signal)
	go func() { // both end with the process
		for range childEnded {
			children <- struct{}{}
		}
	}()
	go func() {
		for sig := range caught {
			others <- sig.(unix.Signal)
		}
	}()
	return &Caught{children, others}, nil
}

// Default gives a signal its default action.
func Default(sig unix.Signal) error { signal.Reset(sig); return nil }

// Ignore has a signal ignored.
func Ignore(sig unix.Signal) error { signal.Ignore(sig); return nil }

// Again catches a signal as Catch did.
func Again(sig unix.Signal) error { signal.Notify(caught, sig); return nil }
