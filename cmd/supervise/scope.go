package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/transient"
)

// A scope is a cgroup that the service manager has delegated to us, and moved us
// into: what supervise-scope prints.
type scope struct {
	Cgroup string `json:"cgroup"` // as /proc/self/cgroup has it
	Unit   string `json:"unit"`
	Road   string `json:"road"` // "scope": made for us; "unit": it is our own
}

// isNew says that the scope was made for us and ends with us.
func (s scope) isNew() bool { return s.Road == "scope" }

// An asking is a run of a program beside ours, which does for us what would weigh
// more than all the rest of this program: supervise-scope talks D-Bus to the manager.
type asking struct {
	program  string
	pid      int
	out, err int // read ends of its stdout and stderr
}

// scopeProgram is the name of the program beside ours.
const scopeProgram = "supervise-scope"

// patience is how much longer than it promises the program may take.
const patience = time.Second

// ask starts supervise-scope. The caller calls output.
func ask(args ...string) (*asking, error) {
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		null = 0
	} else {
		defer unix.Close(null)
	}
	return askProgram(scopeProgram, null, args...)
}

// askProgram starts a program with a descriptor as its standard input.
func askProgram(program string, stdin int, args ...string) (*asking, error) {
	file, err := findSibling(program)
	if err != nil {
		return nil, err
	}
	var out, errs [2]int
	if err := unix.Pipe2(out[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(out[1])
	if err := unix.Pipe2(errs[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		unix.Close(out[0])
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(errs[1])
	a := &asking{program: program, out: out[0], err: errs[0]}
	a.pid, err = syscall.ForkExec(file, append([]string{program}, args...), &syscall.ProcAttr{
		Env: append(os.Environ(), "GOMAXPROCS=1"), Files: []uintptr{uintptr(stdin), uintptr(out[1]), uintptr(errs[1])},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}, // Ctrl-C is not for it
	})
	if err != nil {
		a.close()
		return nil, fmt.Errorf("running %s: %w", file, err)
	}
	return a, nil
}

func (a *asking) close() {
	unix.Close(a.out)
	unix.Close(a.err)
}

// wait waits until the program has said something, or has ended without a word, or
// for limit: then it is killed, as it is when one of the descriptors in enough can be
// read. Who does not hand it to Supervisor.Chore calls reap.
func (a *asking) wait(limit time.Duration, enough ...int) {
	fds := []unix.PollFd{{Fd: int32(a.out), Events: unix.POLLIN}}
	for _, fd := range enough {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	deadline := time.Now().Add(limit)
	for {
		n, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds()+1))
		if fds[0].Revents != 0 || err != nil && err != unix.EINTR {
			return
		}
		if n > 0 || time.Now().After(deadline) {
			unix.Kill(a.pid, unix.SIGKILL)
			return
		}
	}
}

// output returns what the program has printed, after wait or its end; the error is
// its complaint, if that is all.
func (a *asking) output() ([]byte, error) {
	defer a.close()
	if b := readRest(a.out); len(b) > 0 {
		return b, nil
	}
	return nil, a.complaint()
}

func (a *asking) complaint() error {
	line, _, _ := strings.Cut(strings.TrimSpace(string(readRest(a.err))), "\n")
	if line = strings.TrimPrefix(line, a.program+": "); line == "" {
		line = a.program + a.silentEnd()
	}
	return errors.New(line)
}

// silentEnd says how the program ended, which it did without a word.
func (a *asking) silentEnd() string {
	var status unix.WaitStatus
	if pid, _ := unix.Wait4(a.pid, &status, 0, nil); pid == a.pid && status.Signaled() {
		return fmt.Sprintf(" was ended by signal %d", status.Signal())
	}
	return fmt.Sprintf(" ended without a word, with status %d", status.ExitStatus())
}

// answer returns the scope that the program tells of.
func (a *asking) answer() (s scope, err error) {
	b, err := a.output()
	if err == nil {
		if err = json.Unmarshal(b, &s); err == nil && s.Cgroup == "" {
			err = fmt.Errorf("%s names no cgroup: %s", scopeProgram, b)
		}
	}
	return s, err
}

// readRest reads what is in a pipe, at most what fits into one.
func readRest(fd int) []byte {
	b := make([]byte, 64<<10)
	n, _ := unix.Read(fd, b)
	return b[:max(n, 0)]
}

// askScope has the manager delegate a cgroup to us, and move us into it: the usual
// way by ourselves, else by the program. That is still to be reaped, if pid is not
// 0: it need not be waited for.
func askScope(o *runOptions) (s scope, pid int, err error) {
	if s, err = startScope(o); !errors.Is(err, transient.ErrTryHelper) {
		return s, 0, err
	}
	a, err := ask(scopeArgs(o.systemdTimeout, o.slice, jobName(o), []int{os.Getpid()})...)
	if err != nil {
		return scope{}, 0, err
	}
	a.wait(o.systemdTimeout + patience)
	s, err = a.answer()
	return s, a.pid, err
}

// startScope is for who is in a scope: who is in a service may have that delegated.
func startScope(o *runOptions) (scope, error) {
	if !strings.HasSuffix(cgroup.Own(), ".scope") {
		return scope{}, transient.ErrTryHelper
	}
	unit, err := transient.Start(transient.Request{
		Description: description(jobName(o)), Slice: o.slice, Timeout: o.systemdTimeout,
	})
	if err != nil {
		return scope{}, err
	}
	own := cgroup.Own()
	if !strings.HasSuffix(own, "/"+unit) {
		return scope{}, fmt.Errorf("the manager says that %s is started, but we are in %s", unit, own)
	}
	return scope{Cgroup: own, Unit: unit, Road: "scope"}, nil
}

func description(name string) string { return "supervise: " + cmp.Or(name, "jobs") }

func scopeArgs(timeout time.Duration, slice, name string, pids []int) []string {
	args := []string{"--timeout", timeout.String(), "--description", description(name)}
	if slice != "" {
		args = append(args, "--slice", slice)
	}
	return append(args, pidArgs(pids)...)
}

func pidArgs(pids []int) (args []string) {
	for _, pid := range pids {
		args = append(args, "--pid", strconv.Itoa(pid))
	}
	return args
}

// findSibling finds a program that belongs to this one: beside it, in libexec, or
// in PATH.
func findSibling(name string) (string, error) {
	exe, err := os.Readlink("/proc/self/exe")
	if err == nil {
		dir := filepath.Dir(exe)
		for _, p := range []string{filepath.Join(dir, name), filepath.Join(dir, "../libexec/supervise", name)} {
			if unix.Access(p, unix.X_OK) == nil {
				return p, nil
			}
		}
	}
	if p, err := lookPath(name); err == nil {
		return p, nil
	}
	return "", fmt.Errorf("%s is neither beside supervise nor in PATH", name)
}

// isManager says whether a process is systemd, which alone is in an init.scope.
func isManager(pid int) bool {
	comm, err := proc.Read(pid, "comm", 0)
	if err != nil || string(comm) != "systemd\n" {
		return false
	}
	own, err := proc.Read(pid, "cgroup", 0)
	return err == nil && strings.Contains(string(own), "/init.scope\n")
}
