package proc

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// leaderless makes a program of the test's own: its main thread has exited, and the others wait for SIGTERM.
const leaderless = "SUPERVISE_TEST_LEADERLESS"

func init() {
	if os.Getenv(leaderless) == "" {
		return
	}
	runtime.LockOSThread() // which is the main thread while packages are initialized
	got := make(chan os.Signal, 1)
	signal.Notify(got, unix.SIGTERM)
	go func() {
		<-got
		os.Exit(7)
	}()
	unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
}

// TestSignalHeldLeaderless: of a process whose main thread has exited, while others live, one of these receives it.
func TestSignalHeldLeaderless(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), leaderless+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	pid := cmd.Process.Pid
	until(t, "its main thread has exited", func() bool { return state(pid, pid) == "Z" })
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := SignalHeld(pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ended := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
	defer ended.Stop()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("the signal is lost: %v", err)
	}
}

// TestSignalHeldNull: the signal 0 asks whether the process is there, as with kill(2).
func TestSignalHeldNull(t *testing.T) {
	if err := SignalHeld(os.Getpid(), 0); err != nil { // of several threads
		t.Error(err)
	}
}

// state is the letter of a thread's state; "": it is not there.
func state(pid, tid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
	_, rest, _ := strings.Cut(string(text), ") ")
	letter, _, _ := strings.Cut(rest, " ")
	return letter
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after 10 s: %s", what)
		}
	}
}
