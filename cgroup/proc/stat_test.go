package proc

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// statText makes a /proc/PID/stat of 52 fields.
func statText(pid, name, state, parent, start string) string {
	fields := slices.Repeat([]string{"7"}, 50) // from the third on
	fields[0], fields[1], fields[6], fields[19], fields[21] = state, parent, "4194368", start, "-3"
	return pid + " (" + name + ") " + strings.Join(fields, " ") + "\n"
}

func describe(s Stat) string {
	return fmt.Sprintf("%d %q %c %d %d %d %d %d", s.PID, s.Comm, s.State, s.Parent, s.Flags, s.Threads, s.Start, s.RSS)
}

func TestParseStat(t *testing.T) {
	for _, name := range []string{"sh", "", "tmux: server", "(sd-pam)", "((((", "))))", "a) Z 9 (b", "a\nb\n", "\xff\x80"} {
		want := fmt.Sprintf("42 %q S 1 4194368 7 4711 -3", name)
		if s, err := ParseStat([]byte(statText("42", name, "S", "1", "4711"))); err != nil || describe(s) != want {
			t.Errorf("%s, %v, want %s", describe(s), err, want)
		}
	}
	largest := statText("4194304", "x", "Z", "4194303", "18446744073709551615")
	if s, err := ParseStat([]byte(largest)); err != nil || s.PID != 4194304 || s.Parent != 4194303 || s.Start != 1<<64-1 {
		t.Errorf("%s, %v", describe(s), err)
	}
}

func TestParseStatErrors(t *testing.T) {
	whole := statText("42", "sh", "S", "1", "4711")
	for name, text := range map[string]string{
		"empty":                "",
		"no name":              "42 sh S 1 7 7",
		"no pid":               whole[2:],
		"name not closed":      "42 (sh S 1",
		"closed before opened": "42 )sh( S 1",
		"name only":            "42 (sh)",
		"21 fields":            "42 (sh) S 1" + strings.Repeat(" 7", 19),
		"pid":                  statText("x", "sh", "S", "1", "1"),
		"parent":               statText("42", "sh", "S", "-", "1"),
		"flags":                strings.Replace(whole, "4194368", "-1", 1),
		"start":                statText("42", "sh", "S", "1", "-1"),
		"rss":                  strings.Replace(whole, "-3", "3.", 1),
	} {
		if s, err := ParseStat([]byte(text)); err == nil {
			t.Errorf("%s: %s", name, describe(s))
		}
	}
	if s, err := ParseStat([]byte("42 (sh) S 1" + strings.Repeat(" 7", 20))); err != nil {
		t.Errorf("22 fields: %s, %v", describe(s), err)
	}
}

func TestStatOfProcess(t *testing.T) {
	s, err := ReadStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if s.PID != os.Getpid() || s.Parent != os.Getppid() || s.Exiting() || s.Ended() || s.Start == 0 || s.RSS == 0 || s.Threads < 2 {
		t.Errorf("this process: %s", describe(s))
	}
	if s, err := ReadStat(1 << 30); err == nil {
		t.Errorf("a process that cannot be: %s", describe(s))
	}
}

func TestLeader(t *testing.T) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil || len(threads) < 2 {
		t.Fatal(threads, err)
	}
	for _, entry := range threads {
		tid, _ := strconv.Atoi(entry.Name())
		if pid, err := Leader(tid); pid != os.Getpid() || err != nil {
			t.Errorf("%d: %d, %v", tid, pid, err)
		}
	}
	if pid, err := Leader(1 << 30); err == nil {
		t.Errorf("a thread that cannot be: %d", pid)
	}
}

func TestEnded(t *testing.T) {
	for _, tt := range []struct {
		s              Stat
		ended, exiting bool
	}{
		{Stat{State: 'S', Threads: 1, Flags: 0x400040}, false, false},
		{Stat{State: 'R', Threads: 1, Flags: 0x400044}, false, true},
		{Stat{State: 'Z', Threads: 1, Flags: 0x4}, true, true},
		{Stat{State: 'Z', Threads: 2, Flags: 0x4}, false, false},
		{Stat{State: 'X', Threads: 2}, true, false},
	} {
		if tt.s.Ended() != tt.ended || tt.s.Exiting() != tt.exiting {
			t.Errorf("%s: ended %v, exiting %v", describe(tt.s), tt.s.Ended(), tt.s.Exiting())
		}
	}
}

func TestParseStatAllocates(t *testing.T) {
	text := []byte(statText("42", "sh", "S", "1", "4711"))
	if n := testing.AllocsPerRun(100, func() { ParseStat(text) }); n != 0 {
		t.Errorf("%v times", n)
	}
}

// FuzzParseStat: no panic, and what was read is what it was made of.
func FuzzParseStat(f *testing.F) {
	f.Add([]byte(statText("42", "sh", "S", "1", "4711")), "a) Z 9 (b")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		s, err := ParseStat(text)
		if err != nil || s.State >= 0x80 {
			return
		}
		again := statText(fmt.Sprint(s.PID), name, string(s.State), fmt.Sprint(s.Parent), fmt.Sprint(s.Start))
		s.Comm, s.Flags, s.Threads, s.RSS = []byte(name), 4194368, 7, -3 // what statText fills in
		if got, err := ParseStat([]byte(again)); err != nil || describe(got) != describe(s) {
			t.Errorf("ParseStat(%q) = %s, %v, want %s", again, describe(got), err, describe(s))
		}
	})
}

func BenchmarkParseStat(b *testing.B) {
	text := []byte(statText("42", "tmux: server", "S", "1", "4711"))
	for b.Loop() {
		ParseStat(text)
	}
}

func BenchmarkReadStat(b *testing.B) {
	pid := os.Getpid()
	for b.Loop() {
		ReadStat(pid)
	}
}
