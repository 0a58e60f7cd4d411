package signals

import "golang.org/x/sys/unix"

// Ignored says whether a signal is ignored.
func Ignored(sig unix.Signal) bool {
	is, err := isIgnored(sig)
	return is && err == nil
}
