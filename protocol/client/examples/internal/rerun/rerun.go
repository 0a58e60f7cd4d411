// Package rerun runs the program of an example, which is the test binary itself.
package rerun

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
	"github.com/seed-c1490a04/supervise/protocol/client"
)

const again = "SUPERVISE_EXAMPLE"

// Main is the example's main if this process is one, and runs the tests else.
func Main(m *testing.M, main func()) {
	if os.Getenv(again) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(testbed.Run("example", func(dir string) int {
		os.Setenv(client.BinEnv, filepath.Join(dir, "supervise"))
		return m.Run()
	}))
}

// Run runs the example, and returns its exit status and what it has written.
func Run(t *testing.T, stdin string, arg ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], arg...)
	cmd.Env = append(os.Environ(), again+"=1")
	var out, bad bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &bad
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), bad.String()
}
