package cgroup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// A JoinError says that a process could not be put into the job's cgroup, as
// distinct from not being executed.
type JoinError struct {
	Path string // the cgroup
	Err  error
}

func (e *JoinError) Error() string { return fmt.Sprintf("joining cgroup %s: %v", e.Path, e.Err) }

// Unwrap returns the system call's error.
func (e *JoinError) Unwrap() error { return e.Err }

// Start runs a program inside the job and returns its pid; the caller waits for
// it. Attr is as for syscall.StartProcess. The process is born in the cgroup
// (clone3 with CLONE_INTO_CGROUP, Linux 5.7) or, where that is refused, this
// program is run once more, joins through cgroup.procs and executes the command
// (see [Init]). The error is a *JoinError, or the errno of fork or execve.
//
// Start must not be called from several goroutines.
func (j *Job) Start(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	pid, err = j.bearOrJoin(path, argv, attr)
	if join := (*JoinError)(nil); errors.As(err, &join) && errors.Is(err, unix.EOPNOTSUPP) {
		// The job of a supervisor that was killed may have made its session threaded: then
		// nothing can be started beside it (cgroups(7), "domain invalid").
		j.s.RemoveStale()
		pid, err = j.bearOrJoin(path, argv, attr)
	}
	return j.started(pid, err)
}

// StartBy is [Job.Start] by a function in the place of syscall.ForkExec, and in one way alone: the
// function is asked to have the process born in the cgroup (UseCgroupFD). If that is refused the
// error is a *JoinError; it is one as well if execve(2) fails for a reason that a refusal may have
// (EACCES, EPERM, E2BIG).
func (j *Job) StartBy(fork Fork, path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	pid, refused, err := j.bear(fork, path, argv, attr)
	if refused {
		err = &JoinError{j.main.path, err}
	}
	return j.started(pid, err)
}

// MayOverlap says whether StartBy's function may return before the main process has executed its
// program, in this process's memory and beside it (CLONE_VM without CLONE_VFORK).
//
// It may not for the first process of a session, which StartBy looks at. Nor may it where memory may
// run out for the job and not for us: the kernel kills all processes that share the memory of the one
// that it chooses (__oom_kill_process), which may be any but one in vfork(2) (oom_badness).
func (j *Job) MayOverlap() bool {
	return j.s.born && j.s.holdsSupervisor() && !j.s.limitsMemory() && !j.limitsMemory()
}

// limitsMemory says whether the job has a limit of memory of its own.
func (j *Job) limitsMemory() bool {
	return slices.ContainsFunc(j.set, func(s setLimit) bool { return strings.HasPrefix(s.limit.File, "memory.") })
}

// limitsMemory says whether the memory of all jobs together has a limit, or may have one.
func (s *Session) limitsMemory() bool {
	if s.most == 0 {
		fd, err := s.open("memory.max", unix.O_RDONLY)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fd = -1
		case err != nil:
			return true
		}
		s.most = fd
	}
	if s.most < 0 {
		return false
	}
	var text [16]byte
	n, err := unix.Pread(s.most, text[:], 0)
	return err != nil || string(text[:n]) != "max\n"
}

// holdsSupervisor says whether this process is in the root, or below it, so that what limits the root
// limits it as well. That is found out once.
func (s *Session) holdsSupervisor() bool {
	if s.holds == nil {
		here, err := locate()
		is := err == nil && isBelow(s.root.path, here.path)
		s.holds = &is
	}
	return *s.holds
}

// A Fork starts a program as a child of this process, as syscall.ForkExec does.
type Fork func(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error)

// started notes the main process where Find looks for it: without that the job is as good.
func (j *Job) started(pid int, err error) (int, error) {
	if err == nil {
		j.node.mark(xattrMain, strconv.Itoa(pid))
	}
	return pid, err
}

func (j *Job) bearOrJoin(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	pid, refused, err := j.bear(syscall.ForkExec, path, argv, attr)
	if refused {
		return j.startJoining(path, argv, attr)
	}
	return pid, err
}

// bear has a process born in the cgroup, or says that this was refused.
func (j *Job) bear(fork Fork, path string, argv []string, attr *syscall.ProcAttr) (pid int, refused bool, err error) {
	sys := syscall.SysProcAttr{}
	if attr.Sys != nil {
		sys = *attr.Sys
	}
	leaf, err := j.leaf()
	if err != nil {
		return 0, false, &JoinError{j.main.path, err}
	}
	j.s.comes()
	sys.UseCgroupFD, sys.CgroupFD = true, leaf.fd
	born := *attr
	born.Sys = &sys
	pid, err = fork(path, argv, &born)
	switch {
	case err == nil && !j.s.born && killedAtBirth(pid):
		unix.Wait4(pid, nil, 0, nil)
		return 0, true, errKilledAtBirth
	case err == nil:
		j.s.born = unix.Getpid() != 1 // a later write to our cgroup's cgroup.kill kills the supervisor as well: no need to check again
		j.main.close()
	}
	return pid, birthRefused(err), err
}

var errKilledAtBirth = errors.New("a process that is born there is killed at once")

// birthRefused recognises the errors that refuse CLONE_INTO_CGROUP: clone3 or the flag is
// unknown or filtered (ENOSYS, EINVAL, E2BIG, EPERM), there is no write access to the
// common ancestor (EACCES), the node hands controllers down (EBUSY) or is threaded
// (EOPNOTSUPP). EACCES may come from execve too: the joining start then fails with it.
func birthRefused(err error) bool {
	switch err {
	case unix.ENOSYS, unix.EINVAL, unix.E2BIG, unix.EPERM, unix.EACCES, unix.EBUSY, unix.EOPNOTSUPP:
		return true
	}
	return false
}

// killedAtBirth says whether the child died, or is dying, before it executed anything. The
// kernel kills it there if cgroup.kill was once written to the supervisor's own cgroup
// (kill_seq). ForkExec returns success then: death closes its failure pipe just as execve
// does; and vfork(2) returns. The flag alone is no proof. Linux 6.1 was seen to close the pipe
// before execve clears the flag; taking that for a death would wait for the command to end, and
// run it a second time.
func killedAtBirth(pid int) bool {
	s, err := proc.ReadStat(pid)
	return err == nil && s.Exiting() && s.Flags&proc.ForkNoExec != 0
}

// joinName is argv[0] of this program when it is run to join a cgroup.
const joinName = "supervise: join"

// startJoining runs this program as a stub. The stub reports a failure through
// a pipe that its own execve closes.
func (j *Job) startJoining(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	procs, err := j.main.open("cgroup.procs", unix.O_WRONLY)
	if err != nil {
		return 0, &JoinError{j.main.path, err}
	}
	defer unix.Close(procs)
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	pid, err := forkStub(procs, w, path, argv, attr)
	w.Close()
	if err == unix.E2BIG { // the command line and the environment are the program's
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("running /proc/self/exe to join the cgroup: %w", err)
	}
	report, err := io.ReadAll(r)
	if err == nil && len(report) == 0 {
		j.main.close()
		return pid, nil
	}
	unix.Kill(pid, unix.SIGKILL) // in case it does not end by itself
	unix.Wait4(pid, nil, 0, nil)
	if err != nil {
		return 0, err
	}
	return 0, j.stubError(report)
}

// forkStub lets the two descriptors through execve. The caller closes them right after it,
// and no other goroutine forks meanwhile (see Start).
func forkStub(procs int, report *os.File, path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	w := int(report.Fd())
	unix.FcntlInt(uintptr(procs), unix.F_SETFD, 0)
	unix.FcntlInt(uintptr(w), unix.F_SETFD, 0)
	args := append([]string{joinName, strconv.Itoa(procs), strconv.Itoa(w), path}, argv...)
	return syscall.ForkExec("/proc/self/exe", args, attr)
}

// stubError reads the stub's report: 'j' (joining) or 'x' (execve) and an errno.
func (j *Job) stubError(report []byte) error {
	n, err := strconv.Atoi(string(report[1:]))
	if err != nil {
		return fmt.Errorf("the joining process reported %q", report)
	}
	if report[0] == 'j' {
		return &JoinError{j.main.path, syscall.Errno(n)}
	}
	return syscall.Errno(n)
}

// Init must be called first thing in main of a program that uses this package.
// It does nothing, unless the program was run to join a cgroup: then it does not
// return.
func Init() {
	if len(os.Args) < 5 || os.Args[0] != joinName {
		return
	}
	procs, err1 := strconv.Atoi(os.Args[1])
	report, err2 := strconv.Atoi(os.Args[2])
	if err1 != nil || err2 != nil {
		os.Exit(125)
	}
	unix.CloseOnExec(procs)
	unix.CloseOnExec(report)
	kind := "j"
	_, err := unix.Write(procs, []byte("0"))
	if err == nil {
		kind = "x"
		err = syscall.Exec(os.Args[3], os.Args[4:], os.Environ())
	}
	var errno syscall.Errno
	errors.As(err, &errno)
	unix.Write(report, []byte(kind+strconv.Itoa(int(errno))))
	os.Exit(125)
}
