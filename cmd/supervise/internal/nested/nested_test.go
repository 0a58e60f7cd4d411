package nested

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// TestStarted: what is told at one end is what the other end hears.
func TestStarted(t *testing.T) {
	for _, tt := range []struct {
		pid  int
		err  error
		want error
	}{
		{4711, nil, nil},
		{0, unix.ENOENT, unix.ENOENT},
		{0, fmt.Errorf("starting: %w", unix.EAGAIN), unix.EAGAIN},
		{0, errors.New("no errno"), unix.EIO},
	} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		TellStarted(pair[0], tt.pid, tt.err)
		pid, err := AwaitStarted(pair[1])
		if pid != tt.pid || err != tt.want {
			t.Errorf("told %d, %v: heard %d, %v", tt.pid, tt.err, pid, err)
		}
		unix.Close(pair[0])
		if _, err := AwaitStarted(pair[1]); err == nil {
			t.Error("heard a second message that nobody sent")
		}
		unix.Close(pair[1])
	}
}

func TestUsage(t *testing.T) {
	want := unix.Rusage{Utime: unix.Timeval{Sec: 1, Usec: 2}, Stime: unix.Timeval{Usec: 3}, Maxrss: 4, Minflt: 5, Majflt: 6, Nvcsw: 7, Nivcsw: 8}
	b := AppendUsage(nil, &want)
	if got := ParseUsage(b); got == nil || *got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if ParseUsage(b[1:]) != nil {
		t.Error("takes anything")
	}
}
