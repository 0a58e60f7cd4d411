package signals

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// entryFiles is the limit of descriptors at the entry (RLIMIT_NOFILE), noted there because Go's
// package syscall raises it. It gives the first one to what it starts itself, and to no other program.
var entryFiles unix.Rlimit

// Files is the limit of descriptors that this program began with, and that jobs get.
func Files() unix.Rlimit {
	if entryRan == 0 {
		rememberFiles()
	}
	return entryFiles
}

// rememberFiles finds out what package syscall has noted, where the program did not begin in
// entry_*.s: before it executes a program it puts the limit back, and this one is not there.
func rememberFiles() {
	if entryFiles.Max > 0 {
		return
	}
	var raised unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &raised)
	syscall.Exec("", []string{""}, nil)
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &entryFiles) == nil && err == nil {
		unix.Setrlimit(unix.RLIMIT_NOFILE, &raised)
	}
}
