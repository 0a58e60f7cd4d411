package record

import (
	"testing"

	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
	"github.com/seed-c1490a04/supervise/protocol"
)

func TestSummary(t *testing.T) {
	tests := []struct {
		name string
		r    protocol.Record
	}{
		{"exited", protocol.Record{
			Argv: []string{"make", "-j8"}, Cause: protocol.CauseExited, Exit: &protocol.Exit{Code: new(0)},
			WallS: 61.2345678, CPU: protocol.CPU{UserS: new(100.0), SystemS: new(0.0123456)}, Reaped: 1234,
			Containment: protocol.ContainmentCgroup, Cgroup: new("/sys/fs/cgroup/jobs-x/make"), LeftoversTotal: new(0),
		}},
		{"leftovers", protocol.Record{
			Argv: []string{"sh", "-c", "sleep 1000 & sleep 2000 & exit 3"}, Cause: protocol.CauseExited,
			Exit: &protocol.Exit{Code: new(3)}, WallS: 0.0123456, Reaped: 3,
			Containment: protocol.ContainmentSubreaper, ContainmentReason: new("no cgroup2 is mounted"),
			Leftovers: []protocol.Leftover{
				{PID: 42, Comm: "sleep", Argv: []string{"sleep", "1000"}, AgeS: new(0.5), RSSBytes: new(int64(1 << 20))},
				{PID: 43, Comm: "(sd-pam)"},
			},
			LeftoversTotal: new(102),
		}},
		{"dumped", protocol.Record{
			Argv: []string{"./server"}, Cause: protocol.CauseSignaled,
			Exit: &protocol.Exit{Signal: new("SIGSEGV"), Core: true}, WallS: 3600, Reaped: 1,
			Containment: protocol.ContainmentSubreaper,
		}},
		{"timeout", protocol.Record{
			Argv: []string{"./server"}, Cause: protocol.CauseTimeout, Exit: &protocol.Exit{Signal: new("SIGTERM")},
			WallS: 5.0006, Containment: protocol.ContainmentSubreaper, Error: new("processes [5] could not be ended"),
		}},
		{"resources", protocol.Record{
			Argv: []string{"./batch"}, Cause: protocol.CauseOOM, Exit: &protocol.Exit{Signal: new("SIGKILL")}, WallS: 10, Reaped: 9,
			CPU: protocol.CPU{UserS: new(4.0), SystemS: new(1.0), ThrottledS: new(2.5)},
			Memory: protocol.Memory{PeakBytes: new(uint64(1757e6)), SwapPeakBytes: new(uint64(0)), SampledMax: &protocol.MemorySplit{
				AnonBytes: new(uint64(128 << 20)), ShmemBytes: new(uint64(4 << 20)), FileBytes: new(uint64(1600e6)),
			}},
			IO:       protocol.IO{ReadBytes: new(uint64(1000)), WriteBytes: new(uint64(1536))},
			Pids:     protocol.Pids{Peak: new(uint64(8)), MaxHits: new(uint64(3))},
			Pressure: protocol.Pressure{IO: protocol.Stall{SomeS: new(4.5)}, Memory: protocol.Stall{SomeS: new(0.5)}},
			Phases:   []protocol.Phase{{Name: "", WallS: 1}, {Name: "load\x1b[m", WallS: 9, CPU: protocol.CPU{TotalS: new(4.5)}}},
			OOM:      &protocol.OOM{By: protocol.OOMByJob, Kills: new(uint64(2))}, OOMKilled: new(true), Unenforced: []protocol.Unenforced{{Name: "--io-weight 5", Reason: "no io"}},
			Containment: protocol.ContainmentCgroup, Cgroup: new("/sys/fs/cgroup/x"), LeftoversTotal: new(0),
		}},
		{"uncounted", protocol.Record{
			Argv: []string{"./a"}, Cause: protocol.CauseSignaled, Exit: &protocol.Exit{Signal: new("SIGKILL")}, Reaped: 1,
			Memory:      protocol.Memory{PeakBytes: new(uint64(1 << 30))},
			Containment: protocol.ContainmentSubreaper,
		}},
		{"swapped", protocol.Record{
			Argv: []string{"./a"}, Cause: protocol.CauseExited, Exit: &protocol.Exit{Code: new(0)}, Reaped: 1,
			Memory: protocol.Memory{
				PeakBytes: new(uint64(1 << 30)), SwapPeakBytes: new(uint64(3 << 20)), SampledMax: &protocol.MemorySplit{AnonBytes: new(uint64(1 << 20))},
			},
			OOMKilled: new(false), Containment: protocol.ContainmentSubreaper,
		}},
		{"hostile", protocol.Record{
			Argv: []string{"./a\u202eb", "\u009b2J", "\xff"}, Cause: protocol.CauseExited, Exit: &protocol.Exit{Code: new(0)},
			Phases:    []protocol.Phase{{Name: "\u2066"}},
			Leftovers: []protocol.Leftover{{PID: 5, Comm: "\u202e\x1b[m", Argv: []string{"a", "\u0085\n"}, ArgvCut: true}},
			OOM:       &protocol.OOM{By: protocol.OOMByAncestor, Cgroup: new("/sys/fs/cgroup/\u009b2J\n")}, Cgroup: new("/sys/fs/cgroup/\x1b]0;\a/\u202ex"),
			Containment: protocol.ContainmentCgroup, LeftoversTotal: new(1),
			Unenforced: []protocol.Unenforced{{Name: "--cpus", Reason: "\x7f"}}, Error: new("removing /\u2028\xff"),
		}},
		{"start-failed", protocol.Record{
			Argv: []string{"nosuch"}, Cause: protocol.CauseStartFailed, Error: new("no such file or directory"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { golden.Compare(t, "summary-"+tt.name+".txt", Summary(&tt.r)) })
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{
		0: "0s", 1e-9: "0s", 0.0000015: "2µs", 0.0123456: "12.346ms", 0.9999999: "1s", 1.0006: "1.001s", 61.5: "1m1.5s",
	} {
		if got := seconds(&s); got != want {
			t.Errorf("seconds(%v) = %s, want %s", s, got, want)
		}
	}
	if got := seconds(nil); got != "unknown" {
		t.Errorf("seconds(nil) = %s", got)
	}
}

func TestQuoted(t *testing.T) {
	tests := []struct {
		argv []string
		want string
	}{
		{nil, ""},
		{[]string{"ls", "-l", "a/b.c", "x=y", "ü"}, "ls -l a/b.c x=y ü"},
		{[]string{"sh", "-c", "echo $HOME"}, "sh -c 'echo $HOME'"},
		{[]string{"echo", ""}, "echo ''"},
		{[]string{"echo", "it's"}, `echo 'it'\''s'`},
		{[]string{"printf", "a\tb'c\x1b[31m"}, `printf $'a\tb\'c\x1b[31m'`},
		{[]string{"\xff"}, `$'\xff'`},
		{[]string{"\u009b2J", "\u202egpj", `a\ü"'` + "\u200b"}, `$'\u009b2J' $'\u202egpj' $'a\\ü"\'\u200b'`},
		{[]string{"echo", "a*", "~", "#", "a;b", "(", `\`}, `echo 'a*' '~' '#' 'a;b' '(' '\'`},
	}
	for _, tt := range tests {
		if got := quoted(tt.argv); got != tt.want {
			t.Errorf("quoted(%q) = %s, want %s", tt.argv, got, tt.want)
		}
	}
}
