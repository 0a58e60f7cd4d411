package transient

import (
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// IsManager says whether a process is systemd, which alone is in an init.scope. Its
// SIGTERM is the stop of a unit. Pid 0, the kernel or a process outside of this PID
// namespace, is not. The sender may have ended and its number be another's by now, so the
// name alone would not do.
func IsManager(pid int) bool {
	if pid <= 0 {
		return false
	}
	comm, err := proc.Read(pid, "comm", 0)
	if err != nil || string(comm) != "systemd\n" {
		return false
	}
	own, err := proc.Read(pid, "cgroup", 0)
	return err == nil && strings.Contains(string(own), "/init.scope\n")
}
