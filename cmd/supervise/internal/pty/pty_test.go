package pty

import (
	"testing"

	"golang.org/x/sys/unix"
)

// open returns a pair that the test closes.
func open(t *testing.T, rows, cols uint16) (master, slave int) {
	t.Helper()
	master, slave, err := Open(rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(master); unix.Close(slave) })
	return master, slave
}

// TestOpen: what is written to the slave comes out of the master; neither is inherited, nor
// the controlling terminal of the process that has made them.
func TestOpen(t *testing.T) {
	master, slave := open(t, 24, 80)
	if _, err := unix.Write(slave, []byte("a\n")); err != nil {
		t.Fatal(err)
	}
	var b [16]byte
	if n, err := unix.Read(master, b[:]); err != nil || string(b[:n]) != "a\r\n" {
		t.Errorf("read %q, %v", b[:max(n, 0)], err)
	}
	for _, fd := range []int{master, slave} {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d is inherited: %v", fd, err)
		}
	}
	if session, err := unix.IoctlGetInt(slave, unix.TIOCGSID); err == nil {
		t.Errorf("the terminal is that of session %d", session)
	}
}

// TestSetSize: the size is seen by both sides, at the start and later.
func TestSetSize(t *testing.T) {
	master, slave := open(t, 24, 80)
	for _, want := range []unix.Winsize{{Row: 24, Col: 80}, {Row: 50, Col: 132}} {
		if err := SetSize(master, want.Row, want.Col); err != nil {
			t.Fatal(err)
		}
		for _, fd := range []int{master, slave} {
			if got, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err != nil || *got != want {
				t.Errorf("%v, want %v: %v", got, want, err)
			}
		}
	}
	if err := SetSize(-1, 1, 1); err == nil {
		t.Error("no error for a closed descriptor")
	}
}

// TestEOF: the character is what the modes say, and means something in canonical mode only.
func TestEOF(t *testing.T) {
	master, slave := open(t, 24, 80)
	if c, ok := EOF(master); c != 4 || !ok {
		t.Errorf("%d, %v, want control-D", c, ok)
	}
	modes, err := unix.IoctlGetTermios(slave, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	modes.Cc[unix.VEOF] = 'q'
	modes.Lflag &^= unix.ICANON
	if err := unix.IoctlSetTermios(slave, unix.TCSETS, modes); err != nil {
		t.Fatal(err)
	}
	if c, ok := EOF(master); c != 'q' || ok {
		t.Errorf("%d, %v, want q, without a meaning", c, ok)
	}
}
