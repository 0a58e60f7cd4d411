package main

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

func TestParseRun(t *testing.T) {
	tests := []struct {
		args  string // with spaces between
		want  runOptions
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
		{args: "--timeout 90 x", flags: 2, want: runOptions{timeout: 90 * time.Second}},
		{args: "--timeout=1m30s x", flags: 1, want: runOptions{timeout: 90 * time.Second}},
		{args: "--timeout 5 --timeout 6 x", flags: 4, want: runOptions{timeout: 6 * time.Second}},
		{args: "--grace 2s x", flags: 2, want: runOptions{grace: 2 * time.Second, graceSet: true}},
		{args: "--grace=0 x", flags: 1, want: runOptions{graceSet: true}},
		{args: "--signal INT x", flags: 2, want: runOptions{signal: unix.SIGINT}},
		{args: "--signal=sigusr1 x", flags: 1, want: runOptions{signal: unix.SIGUSR1}},
		{args: "--leftovers kill x", flags: 2},
		{args: "--leftovers=wait x", flags: 1, want: runOptions{leftovers: supervisor.Wait}},
		{args: "--leftovers=fail x", flags: 1, want: runOptions{leftovers: supervisor.Fail}},
		{args: "--contain auto x", flags: 2},
		{args: "--contain=cgroup x", flags: 1, want: runOptions{contain: containCgroup}},
		{args: "--contain subreaper x", flags: 2, want: runOptions{contain: containSubreaper}},
		{args: "--cgroup /sys/fs/cgroup/x x", flags: 2, want: runOptions{cgroup: "/sys/fs/cgroup/x"}},
		{args: "--cgroup=a=b --contain=cgroup x", flags: 2, want: runOptions{cgroup: "a=b", contain: containCgroup}},
		{args: "--name n x", flags: 2, want: runOptions{name: "n"}},
		{args: "--name=--x x", flags: 1, want: runOptions{name: "--x"}},
		{args: "--name -- x", flags: 2, want: runOptions{name: "--"}},
		{args: "--record job.json x", flags: 2, want: runOptions{record: "job.json"}},
		{args: "--record=- x", flags: 1, want: runOptions{record: "-"}},
		{args: "--record - x", flags: 2, want: runOptions{record: "-"}},
		{args: "--record fd:1000000 x", flags: 2, want: runOptions{record: "fd:1000000"}}, // openRecord looks
		{args: "--summary x", flags: 1, want: runOptions{summary: true}},
		{args: "--no-guard x", flags: 1, want: runOptions{noGuard: true}},
		{args: "--owner fd:0 x", flags: 2, want: runOptions{owner: 0}},
		{args: "--owner=fd:1 x", flags: 1, want: runOptions{owner: 1}},
		{args: "--fallback-reason= x", flags: 1, want: runOptions{guarded: true}},
		{args: "--fallback-reason=why x", flags: 1, want: runOptions{guarded: true, reason: "why"}},
		{args: "--sample 100ms x", flags: 2, want: runOptions{sampleEvery: 100 * time.Millisecond}},
		{args: "--samples f x", flags: 2, want: runOptions{sampleEvery: time.Second, samplesFile: "f"}},
		{args: "--best-effort -p MemoryMax=1G --cpu-timeout=3 x", flags: 4, want: runOptions{
			bestEffort: true, cpuTime: 3 * time.Second, limits: cgroup.Limits{{Flag: "MemoryMax", Given: "1G", Controller: "memory", File: "memory.max", Value: "1073741824"}},
		}},
		{args: "-p RuntimeMaxSec=60 --set memory.low=5 x", flags: 4, want: runOptions{
			timeout: time.Minute, limits: cgroup.Limits{{Flag: "set", Given: "memory.low=5", Controller: "memory", File: "memory.low", Value: "5"}},
		}},
		{args: "--slice a.slice x", flags: 2, want: runOptions{slice: "a.slice"}},
		{args: "--systemd-timeout=1.5 x", flags: 1, want: runOptions{systemdTimeout: 1500 * time.Millisecond}},
		{args: "--help", flags: 1, want: runOptions{help: true}},
		{args: "-h", flags: 1, want: runOptions{help: true}},
		{args: "--summary -h x", flags: 2, want: runOptions{summary: true, help: true}},
		{args: "--summary --no-guard --timeout 1 -- x -y", flags: 4, dash: true,
			want: runOptions{summary: true, noGuard: true, timeout: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			args := strings.Fields(tt.args)
			want := tt.want
			withDefaults(&want, tt.args)
			want.flags, want.argv = args[:tt.flags:tt.flags], args[tt.flags:]
			if len(want.argv) > 0 && want.argv[0] == "--" {
				want.argv = want.argv[1:]
			}
			got, err := parseRun(args)
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
func withDefaults(o *runOptions, args string) {
	if !o.graceSet {
		o.grace = 10 * time.Second
	}
	if o.signal == 0 {
		o.signal = unix.SIGTERM
	}
	if o.contain == "" {
		o.contain = "auto"
	}
	if !strings.Contains(args, "--owner") {
		o.owner = -1
	}
	o.command, o.events, o.marks, o.samplesFD = "run", -1, -1, -1
	if o.systemdTimeout == 0 {
		o.systemdTimeout = 5 * time.Second
	}
}

// equal takes no slice and an empty one for the same.
func equal(a, b *runOptions) bool {
	x, y := *a, *b
	for _, list := range []*[]string{&x.flags, &y.flags, &x.argv, &y.argv} {
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
		{[]string{"--owner=3", "x"}, `run: --owner "3": want an open descriptor such as fd:3`},
		{[]string{"--owner=fd:", "x"}, `run: --owner "fd:": want an open descriptor such as fd:3`},
		{[]string{"--owner=fd:-1", "x"}, `run: --owner "fd:-1": want an open descriptor such as fd:3`},
		{[]string{"--owner=fd:1000000", "x"}, `run: --owner "fd:1000000": descriptor 1000000 is not open`},

		{[]string{"--cgroup=x", "--contain=subreaper", "x"}, "run: --cgroup and --contain=subreaper exclude each other"},
		{[]string{"--contain=subreaper", "--cgroup=x", "x"}, "run: --cgroup and --contain=subreaper exclude each other"},
		{[]string{"--slice=a.slice", "--cgroup=x", "x"}, "run: --slice is for a scope made by systemd; it excludes --cgroup and --contain=subreaper"},
		{[]string{"--systemd-timeout=0", "x"}, "run: --systemd-timeout \"0\": want more than 0 and at most 1h"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			o, err := parseRun(tt.args)
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
		o, err := parseRun([]string{"--name", name, "true"})
		if err != nil || o.name != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	if o, err := parseRun([]string{"--name", strings.Repeat("x", 256), "true"}); err == nil {
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
	o, err := parseRun([]string{"--owner", "fd:" + strconv.Itoa(p[0]), "true"})
	if err != nil || o.owner != p[0] {
		t.Fatalf("%+v, %v", o, err)
	}
	if flags, err := unix.FcntlInt(uintptr(p[0]), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v", flags, err)
	}
	unix.Close(p[1])
	if _, err := parseRun([]string{"--owner", "fd:" + strconv.Itoa(p[1]), "true"}); err == nil {
		t.Error("a closed descriptor is taken")
	}
}

func TestParseDuration(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration // -1: an error
	}{
		{"90", 90 * time.Second},
		{"1m30s", 90 * time.Second},
		{"500ms", 500 * time.Millisecond},
		{"1h", time.Hour},
		{"1.5", 1500 * time.Millisecond},
		{".5s", 500 * time.Millisecond},
		{"1e3", 1000 * time.Second},
		{"1ns", 1},
		{"0", 0},
		{"0s", 0},
		{"-0", 0},
		{"+5", 5 * time.Second},
		{"9223372036", 9223372036 * time.Second},
		{"9223372037", -1},
		{"1e30", -1},
		{"-1", -1},
		{"-1s", -1},
		{"-1e30", -1},
		{"NaN", -1},
		{"Inf", -1},
		{"-Inf", -1},
		{"", -1},
		{" 5", -1},
		{"5 s", -1},
		{"5d", -1},
		{"five", -1},
		{"9999999h", -1},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			d := time.Duration(math.MinInt64)
			err := parseDuration(&d, tt.in)
			switch {
			case tt.want < 0 && err == nil:
				t.Errorf("parsed as %v", d)
			case tt.want < 0 && d != math.MinInt64:
				t.Errorf("an error, but set to %v", d)
			case tt.want >= 0 && (err != nil || d != tt.want):
				t.Errorf("got %v, %v, want %v", d, err, tt.want)
			}
		})
	}
}

func TestParseSignal(t *testing.T) {
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
			var sig unix.Signal
			err := parseSignal(&sig, tt.in)
			if sig != tt.want || (err != nil) != (tt.want == 0) {
				t.Errorf("got %d, %v, want %d", sig, err, tt.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "ab", 1},
		{"abc", "xabc", 1},
		{"abc", "acb", 2},
		{"kitten", "sitting", 3},
		{"--timeout", "--name", 5},
	}
	for _, tt := range tests {
		if got, back := distance(tt.a, tt.b), distance(tt.b, tt.a); got != tt.want || back != tt.want {
			t.Errorf("distance(%q, %q) = %d and %d, want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}

// FuzzParseRun: no panic; the command is the end of the arguments; and flags and
// command put together again mean the same, as for the guarded supervise.
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
		o, err := parseRun(args)
		if err != nil {
			return
		}
		if len(o.argv) == 0 && !o.help {
			t.Fatal("no command, no error")
		}
		if n := len(args) - len(o.argv); !slices.Equal(o.argv, args[n:]) || !slices.Equal(o.flags, args[:len(o.flags)]) ||
			n != len(o.flags) && (n != len(o.flags)+1 || args[n-1] != "--") {
			t.Fatalf("%q became %q and %q", args, o.flags, o.argv)
		}
		again, err := parseRun(slices.Concat(o.flags, []string{"--"}, o.argv))
		if err != nil || !equal(again, o) {
			t.Fatalf("again: %+v, %v, want %+v", again, err, o)
		}
		if o.timeout < 0 || o.grace < 0 || o.signal < 1 || o.signal > 64 || o.owner < -1 {
			t.Fatalf("out of range: %+v", o)
		}
	})
}

// namesOpenFD says whether an argument may name a descriptor of this process
// that parseFD would change: one but the standard three.
func namesOpenFD(arg string) bool {
	_, number, found := strings.Cut(arg, "fd:")
	n, err := strconv.Atoi(number)
	return found && err == nil && (n < 0 || n > 2)
}

func TestParseServe(t *testing.T) {
	o, err := parseServe([]string{"--contain=subreaper", "--no-guard"})
	if err != nil || o.command != "serve" || o.contain != containSubreaper || !o.noGuard {
		t.Errorf("got %+v, %v", o, err)
	}
	for args, want := range map[string]string{
		"--timeout 5":                     "serve: no flag --timeout",
		"--memory-max 1G":                 "serve: no flag --memory-max",
		"--contain=x":                     `serve: --contain "x": want auto, cgroup or subreaper`,
		"--cgroup /x --contain=subreaper": "serve: --cgroup and --contain=subreaper exclude each other",
		"true":                            `serve: what is "true"? jobs come by the protocol`,
	} {
		if _, err := parseServe(strings.Fields(args)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}
