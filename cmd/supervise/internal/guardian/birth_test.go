package guardian

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// beginShell begins the start of a shell whose script writes into w.
func beginShell(t *testing.T, path, dir, script string, w *os.File) *Birth {
	t.Helper()
	fd := w.Fd()
	attr := &syscall.ProcAttr{Dir: dir, Env: []string{"A=b"}, Files: []uintptr{0, fd, fd}, Sys: &syscall.SysProcAttr{Setsid: true}}
	b, err := Begin(path, []string{"sh", "-c", script}, attr)
	if !sharesMemory && errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this processor has no birth of our own")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBegin: many main processes are on their way at once, each with its arguments, and one that cannot be executed says why.
func TestBegin(t *testing.T) {
	before := descriptors(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var births []*Birth
	var pids []int
	want := map[string]bool{}
	for i := range 20 {
		path := "/bin/sh"
		if i%5 == 4 {
			path = "/nowhere"
		} else {
			want[fmt.Sprintf("%d b / own", i)] = true
		}
		births = append(births, beginShell(t, path, "/", fmt.Sprintf(`[ $(ps -o sid= -p $$) = $$ ] && s=own; echo %d $A $PWD $s`, i), w))
		pids = append(pids, births[i].PID)
	}
	for i, b := range births {
		switch err := b.Wait(); {
		case i%5 == 4 && err != unix.ENOENT:
			t.Errorf("start %d: %v, want ENOENT", i, err)
		case i%5 != 4 && err != nil:
			t.Errorf("start %d: %v", i, err)
		}
	}
	w.Close()
	said, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(said)) {
		delete(want, strings.TrimSpace(line))
	}
	if len(want) > 0 {
		t.Errorf("not said: %v; said:\n%s", want, said)
	}
	for _, pid := range pids {
		if got, err := unix.Wait4(pid, nil, 0, nil); got != pid {
			t.Errorf("waiting for %d: %v", pid, err)
		}
	}
	r.Close()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
	if Rest(); cradles != nil {
		t.Error("Rest keeps memory")
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
