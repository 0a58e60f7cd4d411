package subreaper

import (
	"os"

	"golang.org/x/sys/unix"
)

// Inherited returns the children that this process has from before it executed this
// program: a shell that ended with `exec supervise` had started them, process
// substitutions among them. They are not of a job. Ordinarily there are none, which costs
// one system call: waitid(2) with WNOWAIT says ECHILD. Call it before anything is
// started.
func Inherited() ([]int, error) {
	if unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD {
		return nil, nil
	}
	return OwnChildren()
}

// OwnChildren returns the children of this process, zombies and the guardian too, also
// where the kernel has no list of them (see childLists).
func OwnChildren() ([]int, error) {
	list, err := childLists()
	if err != nil {
		return nil, err
	}
	return list(os.Getpid()), nil
}
