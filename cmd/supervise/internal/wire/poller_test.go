package wire

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPoller: what is watched is told for as long as it lasts, what is kept or forgotten is not.
func TestPoller(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd, told := int(r.Fd()), 0
	watch := func(events uint32) {
		t.Helper()
		if err := p.Watch(fd, events, func(uint32) { told++ }); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, n int) {
		t.Helper()
		if p.Dispatch(); told != n {
			t.Errorf("%s: told %d times, want %d", what, told, n)
		}
		told = 0
	}
	watch(unix.EPOLLIN)
	want("nothing happened", 0)
	w.WriteString("x")
	want("something to read", 1)
	want("it lasts", 1)
	watch(0)
	want("kept", 0)
	w.Close()
	want("kept, a hang-up", 0)
	watch(unix.EPOLLIN)
	watch(unix.EPOLLIN)
	want("watched again", 1)
	watch(unix.EPOLLIN | unix.EPOLLPRI)
	want("for more", 1)
	p.Forget(fd)
	p.Forget(fd)
	want("forgotten", 0)
	if err := p.Watch(1<<20, unix.EPOLLIN, nil); err == nil {
		t.Error("no error for what is no descriptor")
	}
}

// TestPollerForgetsMeanwhile: one handler may have another's descriptor forgotten.
func TestPollerForgetsMeanwhile(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	told := 0
	var fds []int
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		w.Close()
		fds = append(fds, int(r.Fd()))
	}
	for _, fd := range fds {
		err := p.Watch(fd, unix.EPOLLIN, func(uint32) {
			told++
			for _, fd := range fds {
				p.Forget(fd)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if p.Dispatch(); told != 1 {
		t.Errorf("told %d times, of which one forgot all", told)
	}
}
