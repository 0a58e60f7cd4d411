package supervisor

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// In KiB: leastPeak is what this program has had in any case when a process ends, which need not
// be looked up then; peakRoom is for what the kernel's counters are off, as each processor keeps
// some pages to itself.
const leastPeak, peakRoom = 4 << 10, 1 << 10

// hidePeak sets the peak of a main process to 0, not known, if it may be ours: when a process
// leaves the memory of the one that has forked it, by execve, the peak of that becomes its own
// (setmax_mm_hiwater_rss in the kernel's exec_mmap).
func (s *Supervisor) hidePeak(u *unix.Rusage) {
	s.peak = max(s.peak, leastPeak)
	var own unix.Rusage // not less than our peak, but more if the one that has forked us had more
	if u.Maxrss > s.peak+peakRoom && (unix.Getrusage(unix.RUSAGE_SELF, &own) != nil || u.Maxrss <= own.Maxrss+peakRoom) {
		s.peak = max(s.peak, ownPeak())
	}
	if u.Maxrss <= s.peak+peakRoom {
		u.Maxrss = 0
	}
}

// ownPeak is the most memory that this program has had, in KiB (proc_pid_status(5), VmHWM).
func ownPeak() int64 {
	b, _ := proc.Read(os.Getpid(), "status", 0)
	_, rest, _ := bytes.Cut(b, []byte("\nVmHWM:"))
	line, _, _ := bytes.Cut(rest, []byte(" kB"))
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	return n
}
