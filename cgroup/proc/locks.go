package proc

import (
	"bytes"
	"strconv"
)

// A Lock is a line of /proc/locks (proc_locks(5)):
//
//	1: FLOCK  ADVISORY  WRITE 1234 00:1b:5678 0 EOF
type Lock struct {
	Kind  string // FLOCK, POSIX, OFDLCK
	PID   int    // of the process that took it; -1 for OFDLCK
	File  string // MAJOR:MINOR:INODE, the first two in hexadecimal
	Start string // its first byte
}

// ParseLocks reads the text. A lock that is waited for has "->" before its kind, and is left
// out, and so is a line that is no lock's.
func ParseLocks(text []byte) (locks []Lock) {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) < 8 || string(f[1]) == "->" {
			continue
		}
		if pid, err := strconv.Atoi(string(f[4])); err == nil {
			locks = append(locks, Lock{string(f[1]), pid, string(f[5]), string(f[6])})
		}
	}
	return locks
}
