package integration

import (
	"regexp"
	"strings"
	"testing"
)

// supervised runs supervise with just these arguments, in the box.
func (b *box) supervised(args ...string) outcome {
	b.t.Helper()
	return b.start(launch{argv: append([]string{bin.supervise}, args...)}).wait()
}

// TestUsageErrors: status 2, one or a few lines, and the nearest name where one is near.
func TestUsageErrors(t *testing.T) {
	cases := []struct {
		args []string
		want string // in stderr
	}{
		{[]string{"run", "--leftover=kill", "true"}, "--leftovers"},
		{[]string{"run", "--leftover", "kill", "true"}, "--leftovers"},
		{[]string{"run", "--timout", "1s", "true"}, "--timeout"},
		{[]string{"run", "--summry", "true"}, "--summary"},
		{[]string{"run", "--noguard", "true"}, "--no-guard"},
		{[]string{"run", "--cgrup=x", "true"}, "--cgroup"},
		{[]string{"run", "--xyzzyplugh", "true"}, "--xyzzyplugh"},
		{[]string{"run", "-x", "true"}, "-x"},
		{[]string{"run", "--leftovers=bogus", "true"}, "kill"},
		{[]string{"run", "--leftovers=", "true"}, "kill"},
		{[]string{"run", "--contain=jail", "true"}, "subreaper"},
		{[]string{"run", "--timeout=abc", "true"}, "abc"},
		{[]string{"run", "--timeout=-1s", "true"}, "-1s"},
		{[]string{"run", "--grace=soon", "true"}, "soon"},
		{[]string{"run", "--signal=NOPE", "true"}, "NOPE"},
		{[]string{"run", "--signal=99", "true"}, "99"},
		{[]string{"run", "--summary=maybe", "true"}, "summary"},
		{[]string{"run", "--timeout"}, "--timeout"},
		{[]string{"run"}, "command"},
		{[]string{"run", "--"}, "command"},
		{[]string{"run", "--summary"}, "command"},
		{[]string{"rum", "true"}, "run"},
		{[]string{"--version-please"}, "version"},
		{[]string{"help", "rum"}, "run"},
	}
	for _, tc := range cases {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			b := newBox(t)
			o := b.supervised(tc.args...)
			o.wantCode(2)
			if !strings.Contains(o.stderr, tc.want) {
				t.Errorf("stderr %q does not name %q", o.stderr, tc.want)
			}
			if !strings.HasPrefix(o.stderr, "supervise: ") || strings.Count(o.stderr, "\n") > 3 {
				t.Errorf("stderr %q, want up to three lines that begin with who speaks", o.stderr)
			}
			if o.stdout != "" {
				t.Errorf("stdout %q", o.stdout)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	cases := []struct {
		args []string
		want []string
	}{
		{[]string{"help"}, []string{"run", "version", "help", "supervise run"}},
		{[]string{"--help"}, []string{"run", "version"}},
		{[]string{"-h"}, []string{"run", "version"}},
		{[]string{"help", "run"}, runFlags},
		{[]string{"run", "--help"}, runFlags},
		{[]string{"run", "-h"}, runFlags},
		{[]string{"run", "--timeout=1s", "-h", "true"}, runFlags},
	}
	for _, tc := range cases {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			b := newBox(t)
			o := b.supervised(tc.args...)
			o.wantCode(0)
			for _, word := range tc.want {
				if !strings.Contains(o.stdout, word) {
					t.Errorf("no %q in %q", word, o.stdout)
				}
			}
			for line := range strings.Lines(o.stdout) {
				if len(line) > 101 {
					t.Errorf("a line of %d columns: %q", len(line)-1, line)
				}
			}
			if o.stderr != "" {
				t.Errorf("stderr %q", o.stderr)
			}
		})
	}
}

var runFlags = []string{"--leftovers", "--timeout", "--grace", "--signal", "--contain", "--cgroup", "--name", "--record", "--summary", "--no-guard",
	"125", "126", "127", "124"}

func TestVersion(t *testing.T) {
	b := newBox(t)
	o := b.supervised("version")
	o.wantCode(0)
	if !regexp.MustCompile(`^supervise \S+.*\n$`).MatchString(o.stdout) {
		t.Errorf("stdout %q", o.stdout)
	}
}

// TestWhereFlagsEnd: at -- or at the first word that is no flag. What follows is the command's.
func TestWhereFlagsEnd(t *testing.T) {
	cases := []struct {
		args   []string
		code   int
		stdout string
	}{
		{[]string{"run", "sh", "-c", "exit 4"}, 4, ""},
		{[]string{"run", "--", "sh", "-c", "exit 4"}, 4, ""},
		{[]string{"run", "echo", "--timeout", "--", "-h"}, 0, "--timeout -- -h\n"},
		{[]string{"run", "--", "echo", "--", "x"}, 0, "-- x\n"},
		{[]string{"run", "--timeout", "1h", "--leftovers", "wait", "echo", "x"}, 0, "x\n"},
		{[]string{"run", "--timeout=1h", "--timeout=2h", "echo", "x"}, 0, "x\n"},
		{[]string{"run", "--name", "--", "--", "echo", "x"}, 0, "x\n"},
		{[]string{"run", "--", "--no-such-program"}, 127, ""},
	}
	for _, tc := range cases {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			b := newBox(t)
			o := b.supervised(tc.args...)
			o.wantCode(tc.code)
			if o.stdout != tc.stdout {
				t.Errorf("stdout %q, want %q", o.stdout, tc.stdout)
			}
		})
	}
}
