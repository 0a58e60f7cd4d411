package proc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// A Stat is what /proc/PID/stat tells of a process (proc_pid_stat(5)).
type Stat struct {
	PID     int
	Comm    []byte // any bytes, part of the text that was parsed
	State   byte   // R, S, D, T (stopped), t (traced), Z (zombie), X
	Parent  int
	Flags   uint64 // PF_* of include/linux/sched.h
	Threads int    // 1 for a zombie, or more: see Headless
	Start   uint64 // ticks after boot, 100 a second (USER_HZ): with PID, an identity
	RSS     int64  // pages
}

const (
	exiting = 0x4 // PF_EXITING: set before exit closes descriptors

	// ForkNoExec is the flag of a process that has not called execve since it was
	// forked (PF_FORKNOEXEC).
	ForkNoExec = 0x40
)

// Exiting says whether the process is dying, or a zombie. One that is headless is not.
func (s *Stat) Exiting() bool { return s.Flags&exiting != 0 && !s.Headless() }

// Headless says whether the first thread of the process has exited and others live. The kernel
// shows no command line and no memory of such a process.
func (s *Stat) Headless() bool { return s.State == 'Z' && s.Threads > 1 }

// Ended says whether no thread of the process is left.
func (s *Stat) Ended() bool { return s.State == 'X' || s.State == 'Z' && !s.Headless() }

// ReadStat reads /proc/PID/stat. The error is that of [Read], or of [ParseStat].
func ReadStat(pid int) (Stat, error) {
	b, err := Read(pid, "stat", 1) // one line, which the kernel gives whole
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(b)
}

// Leader returns the process that a thread belongs to, from /proc/TID/status (Tgid). The error
// is that of [Read].
func Leader(tid int) (pid int, err error) {
	b, err := Read(tid, "status", 0)
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte("\nTgid:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strconv.Atoi(string(bytes.TrimSpace(line)))
}

// Fields of proc_pid_stat(5), counted from the state, which is the third.
const (
	fieldState = iota
	fieldParent
	fieldFlags   = 6
	fieldThreads = 17
	fieldStart   = 19
	fieldRSS     = 21
	fieldEnd     = 22
)

// ParseStat reads the text of /proc/PID/stat. The name may hold spaces and
// parentheses, so the fields are counted from the last closing one. ParseStat does
// not allocate, unless it fails: a fork bomb has as many texts as there are pids.
func ParseStat(text []byte) (s Stat, err error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return s, fmt.Errorf("/proc/PID/stat is %q", text)
	}
	var fields [fieldEnd][]byte
	if n := cutFields(text[end+1:], fields[:]); n < len(fields) {
		return s, fmt.Errorf("/proc/PID/stat has %d fields behind the name", n)
	}
	s.Comm, s.State = text[open+1:end], fields[fieldState][0]
	var e [6]error
	s.PID, e[0] = strconv.Atoi(string(bytes.TrimSpace(text[:open])))
	s.Parent, e[1] = strconv.Atoi(string(fields[fieldParent]))
	s.Flags, e[2] = strconv.ParseUint(string(fields[fieldFlags]), 10, 64)
	s.Threads, e[3] = strconv.Atoi(string(fields[fieldThreads]))
	s.Start, e[4] = strconv.ParseUint(string(fields[fieldStart]), 10, 64)
	s.RSS, e[5] = strconv.ParseInt(string(fields[fieldRSS]), 10, 64)
	return s, errors.Join(e[:]...)
}

// cutFields cuts the first words of a text, as many as fit, and counts them.
func cutFields(text []byte, fields [][]byte) (n int) {
	for field := range bytes.FieldsSeq(text) {
		if n == len(fields) {
			break
		}
		fields[n] = field
		n++
	}
	return n
}
