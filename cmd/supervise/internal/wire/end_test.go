package wire

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFIFOWithoutWriter: of a FIFO whose writers have gone before it was opened here both the rest and the end come.
func TestFIFOWithoutWriter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(flags int) int {
		fd, err := unix.Open(name, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	r := open(unix.O_RDONLY)
	defer unix.Close(r)
	w := open(unix.O_WRONLY)
	write(t, w, "rest")
	unix.Close(w)
	e := Open(r, unix.O_RDONLY)
	if !isSo(e.FD(), unix.POLLIN) || !isSo(e.FD(), unix.POLLHUP) {
		t.Error("a poll tells of nothing")
	}
	var b [10]byte
	if n, err := e.Read(b[:]); string(b[:max(n, 0)]) != "rest" || err != nil {
		t.Errorf("read %q, %v", b[:max(n, 0)], err)
	}
	if n, err := e.Read(b[:]); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
}
