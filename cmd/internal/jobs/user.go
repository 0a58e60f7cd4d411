package jobs

import (
	"bytes"
	"strconv"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// userOf is the effective user of a process, from /proc/PID/status: the owner of the directory
// is root for one that is not dumpable.
func userOf(pid int) (uid int, err error) {
	text, err := proc.Read(pid, "status", 0)
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(text, []byte("\nUid:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 2 {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(string(fields[1]))
}
