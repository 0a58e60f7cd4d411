package testbed

import (
	"io"
	"os/exec"
	"testing"
)

// StartPiped starts a program with pipes to its standard input and from its standard output. At the end of the test its input
// is closed, and it is waited for, whatever its status.
func StartPiped(t *testing.T, cmd *exec.Cmd) (in io.WriteCloser, out io.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return in, out
}
