package subreaper

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { helpers["mark"], helpers["mark-own"] = helpMark, helpMarkOwn }

// TestMark: descendants are marked, what they fork is too, and nobody else; who
// is marked is ended.
func TestMark(t *testing.T) {
	want := "marked: 8 of 8\n" +
		"its child: true\n" +
		"one that came later: false\n" +
		"this process: false\n" +
		"after: 0 of 9, empty false\n" +
		"the one without: 1 of 1, empty false\n"
	if got := helper(t, "mark"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpMark(tr *tree) error {
	if _, err := tr.start(everyKind, 7); err != nil {
		return err
	}
	parent, err := tr.start(`echo $$ >&4; kill -STOP $$; sh -c 'echo $$ >&4; read x <&5' & wait`, 1)
	if err != nil {
		return err
	}
	mark := NewMark()
	err = errors.Join(await(parent, unix.WSTOPPED), setMark(tr, mark))
	if err != nil {
		return err
	}
	marked := 0
	for _, pid := range tr.pids {
		if mark.isOn(pid) {
			marked++
		}
	}
	fmt.Printf("marked: %d of %d\n", marked, len(tr.pids))

	unix.Kill(parent, unix.SIGCONT)
	child, err := tr.read(1)
	if err != nil {
		return err
	}
	fmt.Println("its child:", mark.isOn(child[0]))
	later, err := tr.start(`echo $$ >&4; read x <&5`, 1)
	fmt.Println("one that came later:", mark.isOn(later))
	fmt.Println("this process:", mark.isOn(os.Getpid()))
	ended := append(tr.pids[:8:8], child...)
	return errors.Join(err, mark.Kill(), tr.tell("after", ended...), tr.tell("the one without", later))
}

// TestMarkOwn: the process that ends the bearers of a mark is spared, though it bears it, or is a child of one that does.
func TestMarkOwn(t *testing.T) {
	if got, want := helper(t, "mark-own"), "after: 0 of 1, empty true\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpMarkOwn(tr *tree) error {
	mark := NewMark()
	if err := mark.put(os.Getpid()); err != nil {
		return err
	}
	child, err := tr.start(`echo $$ >&4; read x <&5`, 1)
	return errors.Join(err, mark.Kill(), tr.tell("after", child))
}

func TestMarkString(t *testing.T) {
	a, b := NewMark(), NewMark()
	if a == b || a == 0 {
		t.Fatalf("%v, %v", a, b)
	}
	if got, err := ParseMark(a.String()); err != nil || got != a {
		t.Errorf("%v became %v, %v", a, got, err)
	}
	for _, s := range []string{"", "0", "1", "-1", "x", "unlimited", "18446744073709551616"} {
		if m, err := ParseMark(s); err == nil {
			t.Errorf("%q is the mark %v", s, m)
		}
	}
}

func TestParseMarks(t *testing.T) {
	const head = "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max processes             100                  200                  processes \n"
	tests := []struct {
		name, in string
		want     uint64
	}{
		{"none", "", 0},
		{"other lines", head, 0},
		{"unlimited", head + "Max realtime timeout      unlimited            unlimited            us        \n", 0},
		{"a number", head + "Max realtime timeout      4611686018427387905  unlimited            us        \n", 4611686018427387905},
		{"cut short", head + "Max realtime timeout", 0},
		{"another", head + "Max file locks            4611686018427387905  unlimited            locks     \n", 4611686018427387905},
		{"no number", head + "Max realtime timeout      -1                   5                    us        \n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseMarks([]byte(tt.in)); uint64(max(got[0], got[1])) != tt.want || min(got[0], got[1]) != 0 {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// setMark marks until there is nobody who might be forking.
func setMark(tr *tree, m Mark) error {
	for {
		if settled, err := tr.SetMark(m); settled || err != nil {
			return err
		}
	}
}
