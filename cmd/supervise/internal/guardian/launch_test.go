package guardian

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
)

// TestStopAtStart: a Ctrl-Z that comes while a main process is on its way does not stop it before it
// has executed its program: this process waits for that, and the shell for this process.
func TestStopAtStart(t *testing.T) {
	for _, how := range []string{"launch", "raise"} {
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
	go func() { // ends with the process
		for {
			unix.Kill(0, unix.SIGTSTP)
		}
	}()
	for range 50 {
		attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{}}
		pid, f, err := 0, (*Foster)(nil), error(nil)
		if os.Args[1] == "launch" {
			pid, err = Launch("/bin/true", []string{"true"}, attr)
		} else {
			f, pid, err = Raise("/bin/true", []string{"true"}, attr, nil)
		}
		if err != nil {
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
	return 0
}
