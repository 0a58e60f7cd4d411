package subreaper

import (
	"fmt"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMarks: what is started while this process wears a mark has that, to the job and to the session, and this process
// has none afterwards.
func TestMarks(t *testing.T) {
	m := NewMarks()
	if m == nil {
		t.Fatal("no marks")
	}
	mark := m.Of(7)
	off := m.Wear(mark)
	cmd := exec.Command("sleep", "1000")
	err := cmd.Start()
	off()
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for _, tt := range []struct {
		what string
		is   bool
		want bool
	}{
		{"the job's mark", mark.isOn(cmd.Process.Pid), true},
		{"the session's", m.Session().isOn(cmd.Process.Pid), true},
		{"another job's", m.Of(8).isOn(cmd.Process.Pid), false},
		{"another session's", (m.Session() ^ 1<<40).isOn(cmd.Process.Pid), false},
		{"this process", m.Session().isOn(unix.Getpid()), false},
	} {
		if tt.is != tt.want {
			t.Errorf("%s: %t", tt.what, tt.is)
		}
	}
	if o := (&Orphans{}); o.Mark(cmd.Process.Pid) != mark {
		t.Errorf("the orphan has %v, want %v", o.Mark(cmd.Process.Pid), mark)
	}
	m.TakeOff([]int{cmd.Process.Pid})
	if m.Session().isOn(cmd.Process.Pid) {
		t.Error("it was not taken off")
	}
	if p, err := ParseMark(m.Session().String()); p != m.Session() || err != nil {
		t.Errorf("parsed %v, %v", p, err)
	}
}

// TestMarksTaken: a limit that is set already is not touched; the marks of a supervise around are such.
func TestMarksTaken(t *testing.T) {
	first := NewMarks()
	defer first.Wear(first.Of(1))()
	second := NewMarks()
	if second == nil || second.resource == first.resource {
		t.Fatalf("the second marks are %+v", second)
	}
	defer second.Wear(second.Of(1))()
	if third := NewMarks(); third != nil {
		t.Errorf("the third marks are %+v", third)
	}
	if !first.Of(1).isOn(unix.Getpid()) || !second.Of(1).isOn(unix.Getpid()) {
		t.Error("one has replaced the other")
	}
}

func TestMarkNumbers(t *testing.T) {
	m := &Marks{session: markBit | sessionBit | 5<<24}
	for _, latest := range []int{1, 7, jobBits - 1, jobBits, jobBits + 1, 5 * jobBits} {
		for _, job := range []int{latest, max(1, latest-3)} {
			if mark := m.Of(job); m.Job(mark, latest) != job || mark == m.session {
				t.Errorf("job %d of %d: %v, %d", job, latest, mark, m.Job(mark, latest))
			}
		}
	}
	for _, mark := range []Mark{0, m.session, m.session ^ 1<<30 | 1} {
		if n := m.Job(mark, 9); n != 0 {
			t.Errorf("mark %v: job %d", mark, n)
		}
	}
	var none *Marks
	if text := fmt.Sprint(none.Session(), none.Of(1), none.Job(1, 1)); text != "0 0 0" {
		t.Errorf("no marks: %s", text)
	}
}
