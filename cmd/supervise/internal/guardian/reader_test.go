package guardian

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// readAll returns what a reader reads.
func readAll(t testing.TB, most int, pids ...int) (lines [][]byte) {
	t.Helper()
	r, err := Read(pids, most)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		some, over := r.Next()
		if lines = append(lines, some...); over {
			return lines
		}
	}
}

// TestRead: a reader reads the command lines in order, up to the limit; of a process that is gone there is none.
func TestRead(t *testing.T) {
	own, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	us := os.Getpid()
	if got := readAll(t, MaxRead, us, 1<<30, us); len(got) != 3 || !bytes.Equal(got[0], own) || len(got[1]) != 0 || !bytes.Equal(got[2], own) {
		t.Errorf("%q, want %q twice", got, own)
	}
	if got := readAll(t, 5, us); len(got) != 1 || !bytes.Equal(got[0], own[:5]) {
		t.Errorf("%q, want 5 bytes", got)
	}
	if got := readAll(t, MaxRead, slices.Repeat([]int{us}, 1000)...); len(got) != 1000 || !bytes.Equal(got[999], own) {
		t.Errorf("%d command lines", len(got))
	}
}

// TestReaderKilled: a reader that is killed comes to its end, which is seen. It has no descriptors but its own, and no wait
// without __WCLONE finds it.
func TestReaderKilled(t *testing.T) {
	r, err := Read(slices.Repeat([]int{os.Getpid()}, 100000), MaxRead) // more than the pipe holds
	if err != nil {
		t.Fatal(err)
	}
	if lines, over := r.Next(); over || len(lines) == 0 {
		t.Errorf("%q, %t", lines, over)
	}
	if name, _ := os.ReadFile("/proc/" + strconv.Itoa(r.PID()) + "/comm"); strings.TrimSpace(string(name)) != "reader" {
		t.Errorf("its name is %q", name)
	}
	if fds, _ := os.ReadDir("/proc/" + strconv.Itoa(r.PID()) + "/fd"); len(fds) > 2 {
		t.Errorf("it has %d descriptors", len(fds))
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("waiting for any child: %v", err)
	}
	r.Kill()
	for over := false; !over; {
		_, over = r.Next()
	}
	r.Close()
}

func BenchmarkRead(b *testing.B) {
	us := os.Getpid()
	for b.Loop() {
		readAll(b, MaxRead, us)
	}
}
