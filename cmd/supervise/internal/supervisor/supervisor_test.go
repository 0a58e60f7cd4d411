package supervisor

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStartFails(t *testing.T) {
	s := &Supervisor{}
	if _, err := s.Start(Spec{Containment: &group{}, Path: "/no/such", Argv: []string{"x"}, Attr: &syscall.ProcAttr{}}); err != unix.ENOENT {
		t.Error(err)
	}
}

func TestInputs(t *testing.T) {
	s, g := newTest(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("abc")
	w.Close()
	spec, end := held(t, g)
	var got []byte
	s.Inputs = []Input{{FD: int(r.Fd()), Read: func() bool {
		var b [2]byte
		n, _ := r.Read(b[:])
		got = append(got, b[:n]...)
		if n == 0 {
			end.Close()
		}
		return n > 0
	}}}
	run(t, s, spec)
	if string(got) != "abc" || len(s.Inputs) != 0 {
		t.Errorf("read %q, %d inputs left", got, len(s.Inputs))
	}
}
