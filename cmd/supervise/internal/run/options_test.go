package run

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/options"
	"github.com/seed-c1490a04/supervise/protocol"
)

func TestParseRun(t *testing.T) {
	tests := []struct {
		args  string // with spaces between
		want  commandLine
		flags int // how many of args are flags
		dash  bool
	}{
		{args: "true"},
		{args: "-- true", dash: true},
		{args: "-"},
		{args: "-- -"},
		{args: "-- -- x", dash: true},
		{args: "-- --help", dash: true},
		{args: "sh --timeout 5 -- x"},
		{args: "--timeout 90 x", flags: 2, want: commandLine{timeout: 90 * time.Second}},
		{args: "--timeout=1m30s x", flags: 1, want: commandLine{timeout: 90 * time.Second}},
		{args: "--timeout 5 --timeout 6 x", flags: 4, want: commandLine{timeout: 6 * time.Second}},
		{args: "--grace 2s x", flags: 2, want: commandLine{grace: 2 * time.Second, graceSet: true}},
		{args: "--grace=0 x", flags: 1, want: commandLine{graceSet: true}},
		{args: "--signal INT x", flags: 2, want: commandLine{signal: unix.SIGINT}},
		{args: "--signal=sigusr1 x", flags: 1, want: commandLine{signal: unix.SIGUSR1}},
		{args: "--leftovers kill x", flags: 2, want: commandLine{leftovers: protocol.LeftoversKill}},
		{args: "--leftovers=wait x", flags: 1, want: commandLine{leftovers: protocol.LeftoversWait}},
		{args: "--leftovers=fail x", flags: 1, want: commandLine{leftovers: protocol.LeftoversFail}},
		{args: "--contain auto x", flags: 2},
		{args: "--contain=cgroup x", flags: 1, want: commandLine{Place: options.Place{Contain: containment.Cgroup}}},
		{args: "--contain subreaper x", flags: 2, want: commandLine{Place: options.Place{Contain: containment.Subreaper}}},
		{args: "--cgroup /sys/fs/cgroup/x x", flags: 2, want: commandLine{Place: options.Place{Cgroup: "/sys/fs/cgroup/x"}}},
		{args: "--cgroup=a=b --contain=cgroup x", flags: 2, want: commandLine{Place: options.Place{Cgroup: "a=b", Contain: containment.Cgroup}}},
		{args: "--name n x", flags: 2, want: commandLine{name: "n"}},
		{args: "--name=--x x", flags: 1, want: commandLine{name: "--x"}},
		{args: "--name -- x", flags: 2, want: commandLine{name: "--"}},
		{args: "--record job.json x", flags: 2, want: commandLine{record: "job.json"}},
		{args: "--record=- x", flags: 1, want: commandLine{record: "-"}},
		{args: "--record - x", flags: 2, want: commandLine{record: "-"}},
		{args: "--record fd:1000000 x", flags: 2, want: commandLine{record: "fd:1000000"}}, // openRecord looks
		{args: "--summary x", flags: 1, want: commandLine{summary: true}},
		{args: "--no-guard x", flags: 1, want: commandLine{Place: options.Place{NoGuard: true}}},
		{args: "--owner fd:2 x", flags: 2, want: commandLine{owner: 2}},
		{args: "--owner fd:1 --owner parent x", flags: 4, want: commandLine{parent: true, owner: -1}},
		{args: "--owner=fd:1 x", flags: 1, want: commandLine{owner: 1}},
		{args: "--fallback-reason= x", flags: 1, want: commandLine{nested: true}},
		{args: "--fallback-reason=why x", flags: 1, want: commandLine{nested: true, reason: "why"}},
		{args: "--sample 100ms x", flags: 2, want: commandLine{sampleEvery: 100 * time.Millisecond}},
		{args: "--samples f x", flags: 2, want: commandLine{sampleEvery: time.Second, samplesFile: "f"}},
		{args: "--best-effort -p MemoryMax=1G --cpu-timeout=3 x", flags: 4, want: commandLine{
			bestEffort: true, cpuTime: 3 * time.Second, limits: cgroup.Limits{{Flag: "MemoryMax", Given: "1G", Controller: "memory", File: "memory.max", Value: "1073741824"}},
		}},
		{args: "-p RuntimeMaxSec=60 --set memory.low=5 x", flags: 4, want: commandLine{
			timeout: time.Minute, limits: cgroup.Limits{{Flag: "set", Given: "memory.low=5", Controller: "memory", File: "memory.low", Value: "5"}},
		}},
		{args: "--scope=new x", flags: 1, want: commandLine{Place: options.Place{NewScope: true}}},
		{args: "--slice a.slice x", flags: 2, want: commandLine{Place: options.Place{Slice: "a.slice"}}},
		{args: "--systemd-timeout=1.5 x", flags: 1, want: commandLine{Place: options.Place{Patience: 1500 * time.Millisecond}}},
		{args: "--pty x", flags: 1, want: commandLine{pty: true}},
		{args: "--pty 24x80", flags: 1, want: commandLine{pty: true}},
		{args: "--pty=50x132 x", flags: 1, want: commandLine{pty: true, rows: 50, cols: 132}},
		{args: "--pty=50x132 --pty x", flags: 2, want: commandLine{pty: true}},
		{args: "--command-words=2 --summary -- x -y", flags: 2, dash: true, want: commandLine{summary: true, words: 2}},
		{args: "--help", flags: 1, want: commandLine{help: true}},
		{args: "-h", flags: 1, want: commandLine{help: true}},
		{args: "--summary -h x", flags: 2, want: commandLine{summary: true, help: true}},
		{args: "--summary --no-guard --timeout 1 -- x -y", flags: 4, dash: true,
			want: commandLine{summary: true, Place: options.Place{NoGuard: true}, timeout: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			args := strings.Fields(tt.args)
			want := tt.want
			withDefaults(&want, tt.args)
			want.argv = args[tt.flags:]
			if len(want.argv) > 0 && want.argv[0] == "--" {
				want.argv = want.argv[1:]
			}
			got, err := parse(args)
			if err != nil {
				t.Fatal(err)
			}
			if !equal(got, &want) {
				t.Errorf("got  %+v\nwant %+v", *got, want)
			}
		})
	}
}

// withDefaults sets what is not zero by default.
func withDefaults(o *commandLine, args string) {
	if !o.graceSet {
		o.grace = 10 * time.Second
	}
	if o.signal == 0 {
		o.signal = unix.SIGTERM
	}
	if o.Contain == "" {
		o.Contain = "auto"
	}
	if !strings.Contains(args, "--owner") {
		o.owner = -1
	}
	o.events, o.marks, o.tty, o.TraceFD = -1, -1, -1, -1
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
}

// equal takes no slice and an empty one for the same.
func equal(a, b *commandLine) bool {
	x, y := *a, *b
	for _, list := range []*[]string{&x.argv, &y.argv} {
		*list = append([]string{}, *list...)
	}
	return reflect.DeepEqual(x, y)
}

func TestParseRunErrors(t *testing.T) {
	const duration = ": want a duration such as 90, 1m30s or 500ms"
	tests := []struct {
		args []string
		want string
	}{
		{nil, "run: no command given; try: supervise run -- sleep 10"},
		{[]string{"--"}, "run: no command given; try: supervise run -- sleep 10"},
		{[]string{"--summary"}, "run: no command given; try: supervise run -- sleep 10"},

		{[]string{"--pty=24", "x"}, `run: --pty "24": want rows and columns, such as --pty=24x80`},
		{[]string{"--pty=0x80", "x"}, `run: --pty "0x80": want rows and columns, such as --pty=24x80`},
		{[]string{"--pty=24x70000", "x"}, `run: --pty "24x70000": want rows and columns, such as --pty=24x80`},

		{[]string{"--timout", "5"}, "run: no flag --timout; did you mean --timeout?; 'supervise help run' lists them"},
		{[]string{"--timout=5"}, "run: no flag --timout=5; did you mean --timeout?; 'supervise help run' lists them"},
		{[]string{"-timeout", "5"}, "run: no flag -timeout; did you mean --timeout?; 'supervise help run' lists them"},
		{[]string{"--noguard", "x"}, "run: no flag --noguard; did you mean --no-guard?; 'supervise help run' lists them"},
		{[]string{"--containment", "x"}, "run: no flag --containment; did you mean --contain?; 'supervise help run' lists them"},
		{[]string{"--Summary", "x"}, "run: no flag --Summary; did you mean --summary?; 'supervise help run' lists them"},
		{[]string{"-x"}, "run: no flag -x; 'supervise help run' lists them"},
		{[]string{"-help"}, "run: no flag -help; did you mean --help?; 'supervise help run' lists them"},
		{[]string{"--=5"}, "run: no flag --=5; 'supervise help run' lists them"},
		{[]string{"--memory-limit", "5"}, "run: no flag --memory-limit; did you mean --memory-min?; 'supervise help run' lists them"},
		{[]string{"--help", "--summry"}, "run: no flag --summry; did you mean --summary?; 'supervise help run' lists them"},

		{[]string{"--command-words=1", "a", "--", "x"}, `run: "a" among the flags is none; 'supervise help run' lists them`},
		{[]string{"--command-words=1", "--", "a", "--", "x"}, `run: "a" among the flags is none; 'supervise help run' lists them`},
		{[]string{"--command-words=one", "x"}, `run: --command-words "one": strconv.Atoi: parsing "one": invalid syntax`},

		{[]string{"--timeout"}, "run: --timeout needs a value"},
		{[]string{"--summary", "--record"}, "run: --record needs a value"},
		{[]string{"--summary=yes", "x"}, "run: --summary takes no value"},
		{[]string{"--no-guard=", "x"}, "run: --no-guard takes no value"},
		{[]string{"--help=run"}, "run: --help takes no value"},

		{[]string{"--timeout=", "x"}, `run: --timeout ""` + duration},
		{[]string{"--timeout", "-1", "x"}, `run: --timeout "-1"` + duration},
		{[]string{"--timeout", "soon", "x"}, `run: --timeout "soon"` + duration},
		{[]string{"--grace=1e30", "x"}, `run: --grace "1e30"` + duration},
		{[]string{"--signal=0", "x"}, `run: --signal "0": want a signal such as TERM, SIGINT or 15`},
		{[]string{"--signal", "", "x"}, `run: --signal "": want a signal such as TERM, SIGINT or 15`},
		{[]string{"--leftovers=keep", "x"}, `run: --leftovers "keep": want kill, wait or fail`},
		{[]string{"--contain=docker", "x"}, `run: --contain "docker": want auto, cgroup or subreaper`},
		{[]string{"--cgroup=", "x"}, `run: --cgroup "": must not be empty`},
		{[]string{"--record=", "x"}, `run: --record "": must not be empty`},
		{[]string{"--name=", "x"}, `run: --name "": must not be empty`},
		{[]string{"--name=a/b", "x"}, `run: --name "a/b": want at most 255 bytes without slash and newline`},
		{[]string{"--name=a\nb", "x"}, `run: --name "a\nb": want at most 255 bytes without slash and newline`},
		{[]string{"--name=a\x00", "x"}, `run: --name "a\x00": want at most 255 bytes without slash and newline`},
		{[]string{"--owner=3", "x"}, `run: --owner "3": want parent, or an open descriptor such as fd:3`},
		{[]string{"--owner=fd:", "x"}, `run: --owner "fd:": want parent, or an open descriptor such as fd:3`},
		{[]string{"--owner=fd:-1", "x"}, `run: --owner "fd:-1": want parent, or an open descriptor such as fd:3`},
		{[]string{"--owner=fd:1000000", "x"}, `run: --owner "fd:1000000": descriptor 1000000 is not open`},

		{[]string{"--cgroup=x", "--contain=subreaper", "x"}, "run: --cgroup and --contain=subreaper exclude each other"},
		{[]string{"--contain=subreaper", "--cgroup=x", "x"}, "run: --cgroup and --contain=subreaper exclude each other"},
		{[]string{"--scope=old", "x"}, `run: --scope "old": want new`},
		{[]string{"--scope=new", "--cgroup=x", "x"}, "run: --scope=new is for a scope made by systemd; it excludes --cgroup and --contain=subreaper"},
		{[]string{"--slice=a.slice", "--cgroup=x", "x"}, "run: --slice is for a scope made by systemd; it excludes --cgroup and --contain=subreaper"},
		{[]string{"--systemd-timeout=0", "x"}, "run: --systemd-timeout \"0\": want more than 0 and at most 1h"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			o, err := parse(tt.args)
			if err == nil {
				t.Fatalf("parsed as %+v", *o)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

func TestSetName(t *testing.T) {
	for _, name := range []string{"a", ".", "..", "-x", "a b", "ü", strings.Repeat("x", 255)} {
		o, err := parse([]string{"--name", name, "true"})
		if err != nil || o.name != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	if o, err := parse([]string{"--name", strings.Repeat("x", 256), "true"}); err == nil {
		t.Errorf("256 bytes are taken: %q", o.name)
	}
}

// TestOwnerIsNotInherited: the job does not get the descriptor.
func TestOwnerIsNotInherited(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	o, err := parse([]string{"--owner", "fd:" + strconv.Itoa(p[0]), "true"})
	if err != nil || o.owner != p[0] {
		t.Fatalf("%+v, %v", o, err)
	}
	if flags, err := unix.FcntlInt(uintptr(p[0]), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v", flags, err)
	}
	unix.Close(p[1])
	if _, err := parse([]string{"--owner", "fd:" + strconv.Itoa(p[1]), "true"}); err == nil {
		t.Error("a closed descriptor is taken")
	}
}

// FuzzParseRun: no panic; and the command is the end of the arguments.
func FuzzParseRun(f *testing.F) {
	for _, args := range []string{
		"true", "--|sh|-c|exit 1", "--timeout|90|--grace=5s|x", "--timeout|NaN|x", "--signal=SIGTERM|--name=a=b|--|-x",
		"--owner=fd:0|x", "--owner|fd:+2|x", "-h", "-", "---|x", "--|--", "--cgroup=x|--contain=cgroup|x", "--=|x", "--name|--|x",
	} {
		f.Add(args)
	}
	f.Fuzz(func(t *testing.T, joined string) {
		args := strings.Split(joined, "|")
		if slices.ContainsFunc(args, namesOpenFD) {
			t.Skip("it would be set close-on-exec")
		}
		o, err := parse(args)
		if err != nil {
			return
		}
		if len(o.argv) == 0 && !o.help {
			t.Fatal("no command, no error")
		}
		if n := len(args) - len(o.argv); !slices.Equal(o.argv, args[n:]) {
			t.Fatalf("%q became %q", args, o.argv)
		}
		if o.timeout < 0 || o.grace < 0 || o.signal < 1 || o.signal > 64 || o.owner < -1 {
			t.Fatalf("out of range: %+v", o)
		}
	})
}

// namesOpenFD says whether an argument may name a descriptor of this process
// that cli.Descriptor would change: one but the standard three.
func namesOpenFD(arg string) bool {
	_, number, found := strings.Cut(arg, "fd:")
	n, err := strconv.Atoi(number)
	return found && err == nil && (n < 0 || n > 2)
}
