package guardian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
)

// TestStopAtStart: a Ctrl-Z that comes while a main process is on its way does not stop it before it
// has executed its program: this process waits for that, and the shell for this process.
func TestStopAtStart(t *testing.T) {
	for _, how := range []string{"launch", "join", "begin", "begin-join", "raise"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], how)
			cmd.Env, cmd.Stderr = append(os.Environ(), helperEnv+"=stops"), os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
			if err := cmd.Run(); err != nil {
				t.Errorf("%v; %v", err, ctx.Err())
			}
		})
	}
}

// startStopped starts programs while SIGTSTP comes again and again, to all of its process group.
func startStopped() int {
	runtime.GOMAXPROCS(4)
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	if _, err := signals.Catch([]unix.Signal{unix.SIGTSTP}); err != nil {
		return 1
	}
	if signals.CaughtStops() == 0 {
		return 0 // Go's runtime handles it, in this process alone
	}
	var dir *os.File
	if strings.HasSuffix(os.Args[1], "join") {
		var err error
		if dir, err = refuseBirth(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			return 1
		}
		defer os.RemoveAll(dir.Name())
	}
	go func() { // ends with the process
		for {
			unix.Kill(0, unix.SIGTSTP)
		}
	}()
	for range 50 {
		attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{}}
		var (
			pid int
			f   *Foster
			b   *Birth
			err error
		)
		if dir != nil {
			attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(dir.Fd())
		}
		switch {
		case os.Args[1] == "raise":
			f, pid, err = Raise("/bin/true", []string{"true"}, attr, nil)
		case strings.HasPrefix(os.Args[1], "begin"):
			if b, err = Begin("/bin/true", []string{"true"}, attr); err == nil {
				pid, err = b.PID, b.Wait()
			}
		default:
			pid, err = Launch("/bin/true", []string{"true"}, attr)
		}
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			return 1
		}
		unix.Kill(pid, unix.SIGKILL)
		if f != nil {
			f.Wait()
		}
		if got, err := unix.Wait4(pid, nil, 0, nil); got != pid {
			os.Stderr.WriteString(err.Error() + "\n")
			return 1
		}
	}
	if dir != nil {
		if said, err := os.ReadFile(dir.Name() + "/cgroup.procs"); string(said) != "0" {
			fmt.Fprintf(os.Stderr, "cgroup.procs: %q, %v\n", said, err)
			return 1
		}
	}
	return 0
}

// refuseBirth has clone3(2) refused to this thread, and makes a directory that stands for a cgroup.
func refuseBirth() (dir *os.File, err error) {
	runtime.LockOSThread()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_CLONE3},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err == nil {
		err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	}
	if err != nil {
		return nil, os.NewSyscallError("prctl", err)
	}
	name, err := os.MkdirTemp("", "guardian-test-")
	if err == nil {
		err = os.WriteFile(name+"/cgroup.procs", nil, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(name)
}
