package subreaper

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// stat makes a /proc/PID/stat of 52 fields.
func stat(pid, name, state, parent, start string) string {
	fields := slices.Repeat([]string{"7"}, 50) // from the third on
	fields[0], fields[1], fields[19] = state, parent, start
	return pid + " (" + name + ") " + strings.Join(fields, " ") + "\n"
}

func TestParseStat(t *testing.T) {
	sleeping := process{pid: 42, parent: 1, state: 'S', start: 4711}
	tests := []struct {
		name, in string
		want     process
	}{
		{"plain", stat("42", "sh", "S", "1", "4711"), sleeping},
		{"no name", stat("42", "", "S", "1", "4711"), sleeping},
		{"space", stat("42", "tmux: server", "S", "1", "4711"), sleeping},
		{"parentheses", stat("42", "(sd-pam)", "S", "1", "4711"), sleeping},
		{"only opening", stat("42", "((((", "S", "1", "4711"), sleeping},
		{"only closing", stat("42", "))))", "S", "1", "4711"), sleeping},
		{"an imitation", stat("42", "a) Z 9 (b", "S", "1", "4711"), sleeping},
		{"newline", stat("42", "a\nb\n", "S", "1", "4711"), sleeping},
		{"bytes", stat("42", "\xff\x80", "S", "1", "4711"), sleeping},
		{"stopped", stat("4194304", "sh", "T", "4194303", "0"), process{pid: 4194304, parent: 4194303, state: 'T'}},
		{"zombie", stat("2", "sh", "Z", "0", "18446744073709551615"), process{pid: 2, state: 'Z', start: 1<<64 - 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.threads = 7 // what stat fills up with
			if got, err := parseStat([]byte(tt.in)); err != nil || got != tt.want {
				t.Errorf("parseStat(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestParseStatErrors(t *testing.T) {
	tests := []struct{ name, in string }{
		{"empty", ""},
		{"no name", "42 sh S 1 7 7"},
		{"no pid", "(sh) S 1"},
		{"name not closed", "42 (sh S 1"},
		{"closed before opened", "42 )sh( S 1"},
		{"name only", "42 (sh)"},
		{"19 fields", "42 (sh) S 1" + strings.Repeat(" 7", 17)},
		{"pid", stat("x", "sh", "S", "1", "1")},
		{"parent", stat("42", "sh", "S", "-", "1")},
		{"start", stat("42", "sh", "S", "1", "-1")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := parseStat([]byte(tt.in)); err == nil {
				t.Errorf("parseStat(%q) = %+v", tt.in, p)
			}
		})
	}
}

// FuzzParseStat: no panic, and what was read is what it was made of.
func FuzzParseStat(f *testing.F) {
	f.Add([]byte(stat("42", "sh", "S", "1", "4711")), "a) Z 9 (b")
	f.Add([]byte("42 )sh( S 1"), "")
	f.Add([]byte("1 () \n"), "\n")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		p, err := parseStat(b)
		if err != nil {
			return
		}
		again := stat(strconv.Itoa(p.pid), name, string(p.state), strconv.Itoa(p.parent), fmt.Sprint(p.start))
		if p.state >= 0x80 || strings.ContainsRune("\t\n\v\f\r ", rune(p.state)) {
			return // string(p.state) would be more than one byte, or none of a field
		}
		want := p
		want.threads = 7 // what stat fills up with
		if got, err := parseStat([]byte(again)); err != nil || got != want {
			t.Errorf("parseStat(%q) = %+v, %v, want %+v", again, got, err, want)
		}
	})
}

func TestReadProcess(t *testing.T) {
	p, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if p.pid != os.Getpid() || p.parent != os.Getppid() || p.dead() || p.start == 0 {
		t.Errorf("this process is %+v", p)
	}
	if p, err := readProcess(1 << 30); err == nil {
		t.Errorf("a process that cannot be is %+v", p)
	}
}

// TestChildLists compares the two ways to find children.
func TestChildLists(t *testing.T) {
	used["children"] = true
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	need(t, "CONFIG_PROC_CHILDREN", err)
	want := "the parent has 3 children\nthe lists agree\n"
	if got := helper(t, "children"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpChildren(tr *tree) error {
	pid, err := tr.start(`for i in 1 2 3; do sh -c 'echo $$ >&4; read x <&5' & done; echo $$ >&4; wait`, 4)
	if err != nil {
		return err
	}
	scanned, err := scan()
	if err != nil {
		return err
	}
	fmt.Println("the parent has", len(scanned(pid)), "children")
	for _, pid := range append(tr.pids, os.Getpid()) {
		a, b := Children(pid), scanned(pid)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			fmt.Printf("process %d: children %v, scan %v\n", pid, a, b)
		}
	}
	fmt.Println("the lists agree")
	return tr.Kill()
}
