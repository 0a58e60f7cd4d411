package signals

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want unix.Signal // 0: an error
	}{
		{"TERM", unix.SIGTERM},
		{"SIGTERM", unix.SIGTERM},
		{"term", unix.SIGTERM},
		{"SigTerm", unix.SIGTERM},
		{"15", unix.SIGTERM},
		{"KILL", unix.SIGKILL},
		{"usr1", unix.SIGUSR1},
		{"1", unix.SIGHUP},
		{"34", 34},
		{"50", 50},
		{"64", 64},
		{"0", 0},
		{"65", 0},
		{"-1", 0},
		{"", 0},
		{"SIG", 0},
		{"SIG15", 0},
		{"SIGSIGTERM", 0},
		{"TERMINATE", 0},
		{"1.5", 0},
		{"0x0f", 0},
		{" TERM", 0},
		{"99999999999999999999", 0},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			sig, err := Parse(tt.in)
			if sig != tt.want || (err != nil) != (tt.want == 0) {
				t.Errorf("got %d, %v, want %d", sig, err, tt.want)
			}
		})
	}
}

func TestName(t *testing.T) {
	for sig, want := range map[unix.Signal]string{
		1: "SIGHUP", 2: "SIGINT", 9: "SIGKILL", 15: "SIGTERM", 16: "SIGSTKFLT", 31: "SIGSYS",
		35: "SIGRTMIN+1", 64: "SIGRTMIN+30",
	} {
		if got := Name(sig); got != want {
			t.Errorf("Name(%d) = %s, want %s", sig, got, want)
		}
	}
}

// TestNamesParse: the names of the record are good for --signal.
func TestNamesParse(t *testing.T) {
	for want := unix.Signal(1); want <= maxSignal; want++ {
		if want == 32 || want == 33 { // the C library's
			continue
		}
		if got, err := Parse(strings.TrimPrefix(Name(want), "SIG")); err != nil || got != want {
			t.Errorf("%s is %d, %v", Name(want), got, err)
		}
	}
}

// TestNumber: every signal that can end a process comes back from its name, also those of the C library.
func TestNumber(t *testing.T) {
	for want := unix.Signal(1); want <= maxSignal; want++ {
		if got := Number(Name(want)); got != want {
			t.Errorf("%s is %d", Name(want), got)
		}
	}
	for _, bad := range []string{"", "TERM", "SIG0", "SIG65", "SIGRTMIN+31"} {
		if got := Number(bad); got != 0 {
			t.Errorf("%q is %d", bad, got)
		}
	}
}
