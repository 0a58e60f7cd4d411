package command

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
)

func TestMain(m *testing.M) {
	// What the tests capture goes through descriptors 0 to 2, which must be open.
	for fd := range 3 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			unix.Open(os.DevNull, unix.O_RDWR, 0)
		}
	}
	os.Exit(m.Run())
}

func TestCommand(t *testing.T) {
	tests := []struct {
		args   []string
		status int
		stdout string // begins with this
		stderr string
	}{
		{[]string{"help"}, 0, helpText, ""},
		{[]string{"--help"}, 0, helpText, ""},
		{[]string{"-h"}, 0, helpText, ""},
		{[]string{"help", "run"}, 0, helpRun, ""},
		{[]string{"run", "-h"}, 0, helpRun, ""},
		{[]string{"run", "--help"}, 0, helpRun, ""},
		{[]string{"version"}, 0, "supervise ", ""},
		{[]string{"--version"}, 0, "supervise ", ""},
		{[]string{"help", "rum"}, 2, "", "supervise: help: no command \"rum\"; did you mean run?\n"},
		{[]string{"help", "sleep"}, 2, "", "supervise: help: no command \"sleep\"\n"},
		{[]string{"verson"}, 2, "", "supervise: no command \"verson\"; did you mean version?; " +
			"'supervise run -- verson' runs a program, 'supervise help' lists the commands\n"},
		{[]string{"sleep", "1"}, 2, "", "supervise: no command \"sleep\"; " +
			"'supervise run -- sleep' runs a program, 'supervise help' lists the commands\n"},
		{[]string{"run"}, 2, "", "supervise: run: no command given; try: supervise run -- sleep 10\n"},
		{[]string{"run", "--record", "fd:1000000", "true"}, 125, "",
			"supervise: run: --record fd:1000000: descriptor 1000000 is not open\n"},
	}
	p := &cli.Program{Name: "supervise", Version: cli.Version, Help: help}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var status int
			var stdout string
			stderr := golden.Capture(t, 2, func() {
				stdout = golden.Capture(t, 1, func() { status = command(p, tt.args[0], tt.args[1:]) })
			})
			if status != tt.status || !strings.HasPrefix(stdout, tt.stdout) || stderr != tt.stderr {
				t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
			if tt.stdout == "" && stdout != "" {
				t.Errorf("stdout %q", stdout)
			}
		})
	}
}
