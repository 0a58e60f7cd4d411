package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A field is what an attacker finds around itself. What it does not see is 0 or "".
type field struct {
	supervisor int // the nearest supervise
	guardian   int // what ends the job if that is killed: its twin, which in the fallback is between the two

	main, node, session, root string // directories of cgroups; root is where the session is
}

// survey looks around. A supervise is a process that is above this one and has the name, as has its guardian in the fallback.
func survey() (*field, error) {
	f := &field{}
	for pid := os.Getppid(); pid > 1; pid = parentOf(pid) {
		switch name := nameOf(pid); {
		case name == "guardian" && f.supervisor == 0:
			f.guardian = pid
		case name == "supervise" && f.supervisor == 0:
			f.supervisor = pid
		}
	}
	dir, err := ownDir()
	if err != nil {
		return nil, err
	}
	f.main = dir
	if filepath.Base(dir) == "main" {
		for range 1000 { // it may not have its name yet; in a PID namespace there is none to be seen
			if f.guardian = guardianOf(f.supervisor); f.guardian > 0 || f.supervisor == 0 {
				break
			}
			pauseMillisecond()
		}
		f.node = filepath.Dir(dir)
		f.session = filepath.Dir(f.node)
		f.root = filepath.Dir(f.session)
	}
	return f, nil
}

func nameOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(b))
}

func parentOf(pid int) (parent int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	if fields := strings.Fields(rest); len(fields) > 1 {
		parent, _ = strconv.Atoi(fields[1])
	}
	return parent
}

// guardianOf finds the twin of a supervisor, 0: it has none.
func guardianOf(supervisor int) int {
	if supervisor == 0 {
		return 0
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", supervisor))
	for _, file := range files {
		b, _ := os.ReadFile(file)
		for _, word := range strings.Fields(string(b)) {
			if pid, _ := strconv.Atoi(word); nameOf(pid) == "guardian" {
				return pid
			}
		}
	}
	return 0
}

func (f *field) targets() (pids []int) {
	for _, pid := range []int{f.supervisor, f.guardian} {
		if pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// each tries something on each of them; it is done if one attempt was.
func (f *field) each(try func(pid int) error) error {
	failed := errNoTarget
	done := false
	for _, pid := range f.targets() {
		if err := try(pid); err != nil {
			failed = err
		} else {
			done = true
		}
	}
	if done {
		return nil
	}
	return failed
}

// trace stops supervise and its guardian as a debugger does, and never lets go.
func (f *field) trace() error {
	return f.each(func(pid int) error {
		if _, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, 0, 0, 0); errno != 0 {
			return errno
		}
		unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_INTERRUPT, uintptr(pid), 0, 0, 0, 0)
		return nil
	})
}

// writeDescriptors writes the byte that dismisses a guardian to whatever supervise has open, and then kills it.
func (f *field) writeDescriptors() error {
	written := errors.New("no descriptor can be had")
	for _, pid := range f.targets() {
		pidfd, _ := unix.PidfdOpen(pid, 0)
		for n := range 64 {
			fd, err := unix.Open(fmt.Sprintf("/proc/%d/fd/%d", pid, n), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				fd, err = unix.PidfdGetfd(pidfd, n, 0)
			}
			if err != nil {
				continue
			}
			written = nil
			var st unix.Stat_t
			if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
				unix.SetNonblock(fd, true)
				unix.Write(fd, []byte{0})
			}
			unix.Close(fd)
		}
		unix.Close(pidfd)
	}
	if written == nil {
		f.signal(f.supervisor, unix.SIGKILL)
	}
	return written
}

// openMemory opens what a debugger writes to.
func (f *field) openMemory() error {
	return f.each(func(pid int) error {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/mem", pid), unix.O_RDWR|unix.O_CLOEXEC, 0)
		unix.Close(fd)
		return err
	})
}

// raiseScore has the kernel kill supervise first when memory is short.
func (f *field) raiseScore() error {
	return f.each(func(pid int) error {
		return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("1000"), 0)
	})
}

// limit lowers a limit of supervise and its guardian for good.
func (f *field) limit(resource int, value uint64) error {
	return f.each(func(pid int) error {
		return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: value, Max: value}, nil)
	})
}

// inNamespace mounts cgroup v2 anew, in namespaces of its own where it is root, and does there what it can.
func inNamespace(*field) error {
	const script = `mount -t cgroup2 c /mnt && mkdir /mnt/own && echo 0 >/mnt/own/cgroup.procs &&
		{ echo 1 >/mnt/../cgroup.freeze; echo 0 >/mnt/../../cgroup.procs; mount -o remount,rw /sys/fs/cgroup
		chmod 0 /mnt/own /mnt/cgroup.* /mnt; echo done; exec sleep 300; }`
	cmd := exec.Command("unshare", "--user", "--map-root-user", "--mount", "--cgroup", "sh", "-c", script)
	cmd.ExtraFiles = []*os.File{os.NewFile(3, "leak")}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = readN(out, 5)
	}
	return err
}

// ignoreAll ignores all signals but SIGCHLD: else the kernel would throw away what wait4(2) is for.
func ignoreAll() {
	for sig := unix.Signal(1); sig <= 64; sig++ {
		if sig != unix.SIGCHLD && sig != unix.SIGURG { // SIGURG is the runtime's own
			signal.Ignore(sig)
		}
	}
}

func pauseMillisecond() {
	wait := unix.NsecToTimespec(1e6)
	unix.Nanosleep(&wait, nil)
}
