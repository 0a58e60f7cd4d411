package proc

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	want, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Read(os.Getpid(), "cmdline", 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if b, err := Read(os.Getpid(), "no such file", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", b, err)
	}
}

// TestBound: an argv that is long is read as a whole, or not much more than was asked for.
func TestBound(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo; read line", "sh")
	for range 50 {
		cmd.Args = append(cmd.Args, strings.Repeat("0", 10000))
	}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 1)); err != nil { // its argv is not there yet when Start returns
		t.Fatal(err)
	}
	for most, want := range map[int]int{0: 500000, 100000: 100000} {
		b, err := Read(cmd.Process.Pid, "cmdline", most)
		if err != nil || len(b) < want || most > 0 && len(b) > 2*most {
			t.Errorf("at most %d: %d bytes, %v", most, len(b), err)
		}
	}
}
