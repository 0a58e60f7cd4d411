//go:build portablesignals

package signals

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// await returns when a descriptor is readable.
func await(t *testing.T, fd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, 60_000); n == 1 {
			return
		} else if err != unix.EINTR {
			t.Fatal("nothing arrives")
		}
	}
}

// TestPortable: what is caught arrives, one after the other and without its sender; and SIGCHLD has a place of its own.
func TestPortable(t *testing.T) {
	sent := []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT, unix.SIGWINCH, 35, 64} // Go keeps 32 to 34
	caught, err := Catch(sent)
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range sent {
		if err := unix.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		await(t, caught.FD())
		if got := caught.Read(); len(got) != 1 || got[0] != (Signal{Signal: sig}) {
			t.Errorf("got %v, want %v", got, sig)
		}
	}
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, caught.ChildFD())
	caught.ReadChild()
	unix.Wait4(pid, nil, 0, nil)
	if got := caught.Read(); len(got) != 0 {
		t.Errorf("%v beside SIGCHLD", got)
	}
	for _, sig := range sent {
		if err := Again(sig); err != nil {
			t.Errorf("catching %v again: %v", sig, err)
		}
	}
}
