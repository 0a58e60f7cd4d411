//go:build portablesignals || !(amd64 || arm64)

package signals

import (
	"encoding/binary"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Where there is no handler in assembly, Go's runtime serves, and a goroutine
// writes what the handler would. Go keeps some signals to itself (see canCatch): these
// end us, or never arrive.
//
// The sender stays unknown (Signal.From is 0), so that a stop by systemd is a SIGTERM
// like any other. The runtime drops the siginfo_t, and signalfd(2), which tells it, wants
// a signal blocked in every thread: the runtime's own threads (sysmon, the collector's)
// start with the mask that the process had at execve(2), and no system call changes that
// of another thread. To execute supervise again with another mask would cost a
// millisecond, and the main process would inherit the mask.
//
// The tag portablesignals builds this where there is a handler, for the tests.

var arriving = make(chan os.Signal, 64)

func setPipes(fd, child int) {
	go func() { // ends with the process
		for sig := range arriving {
			var info [infoSize]byte
			binary.NativeEndian.PutUint32(info[:], uint32(sig.(unix.Signal)))
			if sig == unix.SIGCHLD {
				unix.Write(child, info[:])
			} else {
				unix.Write(fd, info[:])
			}
		}
	}()
}

// Again catches a signal as Catch did.
func Again(sig unix.Signal) error { signal.Notify(arriving, sig); return nil }

// Default gives a signal its default action. signal.Reset would leave the runtime's
// handler, for which SIGTSTP means nothing; and unless the runtime takes a signal for
// ignored, Again would leave the default action.
func Default(sig unix.Signal) error {
	signal.Ignore(sig)
	return sigaction(sig, &action{handler: sigDefault}, nil)
}

// Ignore has a signal ignored.
func Ignore(sig unix.Signal) error { signal.Ignore(sig); return nil }

const bare = false

// canCatch says that Again can catch a signal.
func canCatch(sig unix.Signal) bool { return !kept.has(sig) }
