// Package signals hands the signals sent to this process to one goroutine.
package signals

import "golang.org/x/sys/unix"

// Caught is where signals arrive.
type Caught struct {
	// Children has a value whenever SIGCHLD has come since it was last read.
	Children <-chan struct{}
	// Others has the rest, in order.
	Others <-chan unix.Signal
}

// queueSize is how many signals wait for a busy loop before the reader does.
const queueSize = 16
