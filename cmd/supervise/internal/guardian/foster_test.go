package guardian

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// raised starts a shell below a foster.
func raised(t *testing.T, script string, sys *syscall.SysProcAttr) (f *Foster, main int) {
	t.Helper()
	if sys == nil {
		sys = &syscall.SysProcAttr{Setpgid: true}
	}
	f, main, err := Raise("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: sys}, []unix.Signal{unix.SIGTERM})
	if err != nil {
		t.Fatal(err)
	}
	return f, main
}

const ends = unix.WEXITED | unix.WNOHANG

// await waits for the next status, by the eventfd, as the loop does.
func await(t *testing.T, f *Foster, options int) (pid, code, status int, usage unix.Rusage) {
	t.Helper()
	for {
		var info Info
		if err := f.Waitid(unix.P_ALL, 0, options, &info, &usage); err != nil {
			t.Fatal(err)
		}
		if pid = pidOf(&info); pid != 0 {
			return pid, int(info[infoCode]), int(info[24]), usage
		}
		fds := []unix.PollFd{{Fd: int32(f.FD()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 10_000); n != 1 && err != unix.EINTR {
			t.Fatalf("poll: %d, %v", n, err)
		}
	}
}

// TestFoster: the main process ends, and after it the foster, which has no child any more.
func TestFoster(t *testing.T) {
	f, main := raised(t, "exit 3", nil)
	defer f.Wait()
	pid, code, status, usage := await(t, f, ends)
	if pid != main || code != 1 || status != 3 || usage.Maxrss == 0 {
		t.Errorf("got %d, %d, %d, %+v; want the end of %d", pid, code, status, usage, main)
	}
	var info Info
	if err := f.Waitid(unix.P_ALL, 0, ends, &info, nil); err != unix.ECHILD || !f.Barren() {
		t.Errorf("then %v, barren %v", err, f.Barren())
	}
	if err := f.Waitid(unix.P_PID, main, ends, &info, nil); err != unix.ECHILD {
		t.Errorf("then, by its pid, %v", err)
	}
}

// TestFosterOrphans: more dead orphans than there is room for in an answer, and each is told once.
func TestFosterOrphans(t *testing.T) {
	const many = 3*batch + 7
	f, main := raised(t, fmt.Sprintf("i=0; while [ $i -lt %d ]; do (: &); i=$((i+1)); done; exit", many), nil)
	defer f.Wait()
	seen := map[int]bool{}
	for len(seen) < many+1 {
		pid, _, _, _ := await(t, f, ends)
		if seen[pid] {
			t.Fatalf("%d comes again", pid)
		}
		seen[pid] = true
	}
	if !seen[main] {
		t.Error("the main process is not among them")
	}
}

// TestFosterOne: a process is asked for by its pid, and what is only looked at stays there.
func TestFosterOne(t *testing.T) {
	f, main := raised(t, "kill -STOP $$", nil)
	defer f.Wait()
	if pid, code, status, _ := await(t, f, ends|unix.WSTOPPED); pid != main || code != 5 || status != int(unix.SIGSTOP) {
		t.Errorf("%d, %d, %d; want the stop of %d", pid, code, status, main)
	}
	unix.Kill(main, unix.SIGKILL)
	var info Info
	for pidOf(&info) == 0 {
		if err := f.Waitid(unix.P_PID, main, ends|unix.WNOWAIT, &info, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Waitid(unix.P_PID, os.Getpid(), ends|unix.WNOWAIT, &info, nil); err != unix.ECHILD {
		t.Errorf("of a stranger: %v", err)
	}
	if pid, _, _, _ := await(t, f, ends); pid != main {
		t.Errorf("%d has ended, want %d", pid, main)
	}
}

// TestFosterKilled: when it is dead its children are ours, also if that is found out by a request.
func TestFosterKilled(t *testing.T) {
	f, main := raised(t, "exec sleep 1000", nil)
	defer f.Wait()
	unix.Kill(f.PID(), unix.SIGKILL)
	var info Info
	if err := f.Waitid(unix.P_PID, main, ends, &info, nil); err != unix.ECHILD || f.PID() != 0 || f.Barren() {
		t.Errorf("%v, pid %d, barren %v", err, f.PID(), f.Barren())
	}
	unix.Kill(main, unix.SIGKILL)
	if pid, err := unix.Wait4(main, nil, 0, nil); pid != main {
		t.Errorf("waiting for %d: %d, %v", main, pid, err)
	}
}

// TestFosterStopped: it is continued when it does not answer.
func TestFosterStopped(t *testing.T) {
	f, main := raised(t, "exec sleep 1000", nil)
	defer f.Wait()
	unix.Kill(f.PID(), unix.SIGSTOP)
	unix.Kill(main, unix.SIGKILL)
	var info Info
	for pidOf(&info) != main {
		if err := f.Waitid(unix.P_ALL, 0, ends, &info, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFosterTraced: a main process that is dead, and that its tracer does not let go of, is told of
// once, and wakes no loop until it can be reaped.
func TestFosterTraced(t *testing.T) {
	runtime.LockOSThread() // which is the tracer
	defer runtime.UnlockOSThread()
	f, main := raised(t, "exec sleep 1000", nil)
	defer f.Wait()
	if err := unix.PtraceSeize(main); err != nil {
		t.Fatal(err)
	}
	unix.Kill(main, unix.SIGKILL)
	for !f.MainDead() {
		unix.Poll([]unix.PollFd{{Fd: int32(f.MainFD()), Events: unix.POLLIN}}, 10_000)
	}
	var info Info
	if err := f.Waitid(unix.P_ALL, 0, ends, &info, nil); err != nil || pidOf(&info) != 0 {
		t.Errorf("traced: pid %d, %v", pidOf(&info), err)
	}
	if f.MainDead() || f.MainFD() >= 0 {
		t.Errorf("it is told of again; descriptor %d", f.MainFD())
	}
	unix.Wait4(main, nil, 0, nil) // by the tracer
	if pid, _, _, _ := await(t, f, ends); pid != main {
		t.Errorf("%d has ended, want %d", pid, main)
	}
}

// TestFosterSent: the job signals its parent, and the supervisor hears of it, and from whom.
func TestFosterSent(t *testing.T) {
	f, main := raised(t, "kill -TERM $PPID; kill -USR1 $PPID", nil)
	defer f.Wait()
	await(t, f, ends)
	fds := []unix.PollFd{{Fd: int32(f.SentFD()), Events: unix.POLLIN}}
	for n := 0; n < 1; n, _ = unix.Poll(fds, 10_000) {
	}
	if sig, from, over := f.Sent(); sig != unix.SIGTERM || from != main || over {
		t.Errorf("%d from %d, over %v; want SIGTERM from %d", sig, from, over, main)
	}
	f.Dismiss()
	for n := 0; n < 1; n, _ = unix.Poll(fds, 10_000) {
	}
	if sig, _, over := f.Sent(); sig != 0 || !over {
		t.Errorf("%d, over %v; want the end", sig, over)
	}
}

// TestFosterRefuses: a program that cannot be executed is a bare errno, and nothing is left.
func TestFosterRefuses(t *testing.T) {
	for path, want := range map[string]error{"/nonexistent": unix.ENOENT, "/etc/passwd": unix.EACCES} {
		attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{}}
		if _, _, err := Raise(path, []string{path}, attr, nil); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if _, _, err := Raise("/bin/true", []string{"true"}, &syscall.ProcAttr{Files: []uintptr{0, 1}, Sys: &syscall.SysProcAttr{}}, nil); err == nil {
		t.Error("takes two descriptors")
	}
}

// TestFosterLike: the main process has what syscall.ForkExec would give it: descriptors, group, session, limit of descriptors,
// signals.
func TestFosterLike(t *testing.T) {
	const script = `grep -E '^(Sig(Blk|Ign)|ShdPnd)' /proc/self/status; ulimit -Sn; ls /proc/self/fd | wc -l; env; cut -d' ' -f5,6 /proc/$$/stat | sed "s/\<$$\>/self/g"`
	for name, sys := range map[string]syscall.SysProcAttr{"shared": {}, "group": {Setpgid: true}, "session": {Setsid: true}} {
		t.Run(name, func(t *testing.T) {
			var out [2]string
			for i := range out {
				r, w := pipe(t)
				attr := &syscall.ProcAttr{Env: []string{"A=b", "PATH=" + os.Getenv("PATH")}, Files: []uintptr{0, w.Fd(), w.Fd()}, Sys: &sys}
				argv := []string{"sh", "-c", script}
				if i == 0 {
					pid, err := syscall.ForkExec("/bin/sh", argv, attr)
					if err != nil {
						t.Fatal(err)
					}
					unix.Wait4(pid, nil, 0, nil)
				} else {
					f, _, err := Raise("/bin/sh", argv, attr, nil)
					if err != nil {
						t.Fatal(err)
					}
					await(t, f, ends)
					f.Dismiss()
					f.Wait()
				}
				w.Close()
				text := make([]byte, 4096)
				n, _ := r.Read(text)
				out[i] = string(text[:n])
			}
			if out[0] != out[1] || strings.Count(out[0], "\n") < 7 {
				t.Errorf("by ForkExec:\n%s\nby the foster:\n%s", out[0], out[1])
			}
		})
	}
}

// dieAbove is a supervisor that is killed with a job below it, of which one process has left the main process's group.
func dieAbove() int {
	const script = "setsid sh -c 'sleep 1000 & echo $!; sleep 1000' & sleep 1000 & echo $!; wait"
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	f, _, err := Raise("/bin/sh", []string{"sh", "-c", script}, attr, nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	how := make([]byte, 1)
	os.Stdin.Read(how)
	fmt.Println(f.PID())
	if how[0] == 's' {
		unix.Kill(f.PID(), unix.SIGSTOP)
		unix.Waitid(unix.P_PID, f.PID(), nil, unix.WSTOPPED|unix.WALL, nil)
	}
	unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}

// TestFosterCulls: when the supervisor is killed the foster ends all that is below it, and itself,
// also if it was stopped before.
func TestFosterCulls(t *testing.T) {
	for name, how := range map[string]string{"runs": "x", "stopped": "s"} {
		t.Run(name, func(t *testing.T) { fosterCulls(t, how) })
	}
}

func fosterCulls(t *testing.T, how string) {
	in, stdin := pipe(t)
	out, stdout := pipe(t)
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"helper"}, &syscall.ProcAttr{
		Env: append(os.Environ(), helperEnv+"=foster"), Files: []uintptr{in.Fd(), stdout.Fd(), 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	var pids [3]int
	for i := range pids {
		if i == 2 {
			stdin.Write([]byte(how))
		}
		if _, err := fmt.Fscan(out, &pids[i]); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := out.Read(make([]byte, 1)); n != 0 { // the end: all that had it open are dead
		t.Errorf("read %d, %v", n, err)
	}
	unix.Wait4(pid, nil, 0, nil)
	unix.Wait4(pids[2], nil, unix.WALL, nil) // the foster is ours now, and the last
	for _, one := range pids {
		if err := unix.Kill(one, 0); err != unix.ESRCH {
			t.Errorf("%s: %v", strconv.Itoa(one), err)
		}
	}
}
