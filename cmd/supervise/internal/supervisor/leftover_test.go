package supervisor

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// list lists processes as the leftovers of a job.
func list(pids ...int) *Job {
	j := &Job{s: &Supervisor{}, started: time.Now(), leftAll: len(pids)}
	j.listLeftovers(pids)
	return j
}

// TestReadLeftover describes a living process, a zombie and none.
func TestReadLeftover(t *testing.T) {
	began := time.Now()
	pid := child(t, "sleep", "100")
	l, exiting, err := readLeftover(pid)
	if err != nil || exiting || l.PID != pid || l.Argv == nil || len(l.Argv) != 0 || l.ArgvCut {
		t.Errorf("%+v, exiting %t, %v", l, exiting, err)
	}
	if us, _, _ := readLeftover(os.Getpid()); us.RSSBytes == nil || *us.RSSBytes < 1<<20 || *us.RSSBytes%int64(os.Getpagesize()) != 0 {
		t.Errorf("RSS %v", us.RSSBytes) // of a small process the kernel may not have counted any yet
	}
	if most := time.Since(began).Seconds() + 0.02; l.AgeS == nil || *l.AgeS < 0 || *l.AgeS > most {
		t.Errorf("age %v, more than %g", l.AgeS, most)
	}
	unix.Kill(pid, unix.SIGKILL)
	await(t, pid, unix.WEXITED)
	if l, exiting, err := readLeftover(pid); err != nil || !exiting || l.Argv == nil || len(l.Argv) != 0 || l.RSSBytes != nil {
		t.Errorf("a zombie: %+v, exiting %t, %v", l, exiting, err)
	}
	end(pid)
	if _, _, err := readLeftover(pid); err == nil {
		t.Error("described though it is gone")
	}
}

// TestArgv: the command lines are read, each with its process. What is killed already has none.
func TestArgv(t *testing.T) {
	var pids []int
	for _, seconds := range []string{"100", "101", "102"} {
		pids = append(pids, child(t, "sleep", seconds))
	}
	var got []string
	want := []string{"sleep 100", "sleep 101", "sleep 102"}
	for began := time.Now(); !slices.Equal(got, want) && time.Since(began) < killLimit; { // until they have executed, and the reader had a processor
		got = nil
		for i, l := range list(pids...).left {
			if got = append(got, strings.Join(l.Argv, " ")); l.PID != pids[i] || l.Comm != "sleep" && l.Comm != "sh" || l.ArgvCut {
				t.Errorf("%+v", l)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	j := &Job{s: &Supervisor{}, state: Killing, started: time.Now()}
	if j.listLeftovers(pids); len(j.left) == 0 || len(j.left[0].Argv) > 0 {
		t.Errorf("%+v", j.left)
	}
}

// TestListLeftovers: of a few those that are ending by themselves are left out; of many
// the first are listed, and all counted.
func TestListLeftovers(t *testing.T) {
	dead, lives := child(t, "true"), child(t, "sleep", "100")
	await(t, dead, unix.WEXITED)
	if j := list(dead, lives, 1<<30); j.leftAll != 1 || len(j.left) != 1 || j.left[0].PID != lives || *j.left[0].AgeS != 0 && *j.left[0].AgeS > 1 {
		t.Errorf("%d leftovers, %+v", j.leftAll, j.left)
	}
	many := append(slices.Repeat([]int{dead}, maxLeftovers), lives)
	if j := list(many...); j.leftAll != len(many) || len(j.left) > maxLeftovers || len(j.left) == 0 {
		t.Errorf("%d leftovers, %d listed", j.leftAll, len(j.left))
	}
}

// TestLongArgv: the command lines of others have a bound, each and all together, and say
// where they are cut; none is left out for the length of those before it.
func TestLongArgv(t *testing.T) {
	const each = 100 << 10
	pid := child(t, "sh", "-c", "kill -STOP $$", strings.Repeat("ü", each/2))
	await(t, pid, unix.WSTOPPED) // it has executed
	for _, n := range []int{1, 10, maxLeftovers} {
		var j *Job
		// The time for the list is bounded too.
		for began := time.Now(); (j == nil || len(j.left) < n || len(j.left[n-1].Argv) == 0) && time.Since(began) < killLimit; {
			j = list(slices.Repeat([]int{pid}, n)...)
		}
		total := 0
		for _, l := range j.left {
			size := len(strings.Join(l.Argv, "\x00"))
			if total += size; !l.ArgvCut || size > maxArgv || size < min(maxArgv, maxArgvs/n)-len("sh.") || !utf8.ValidString(l.Argv[len(l.Argv)-1]) {
				t.Fatalf("of %d: %d bytes, cut %t, end %q", n, size, l.ArgvCut, l.Argv[len(l.Argv)-1][size-10:])
			}
		}
		if len(j.left) != n || total > maxArgvs {
			t.Errorf("of %d: %d listed, %d bytes", n, len(j.left), total)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		most       int
		cut        bool
	}{
		{"ab\x00", "ab\x00", 3, false},
		{"ab\x00c", "ab\x00", 3, true},
		{"aü", "aü", 3, false},
		{"aü", "a", 2, true},
		{"\U0001f600", "", 3, true},
		{"a\x80\x80\x80\x80\x80", "a", 4, true}, // no UTF-8 anyway
		{"\x80\x80\x80\x80\x80\x80\x80", "\x80\x80", 5, true},
		{"ab", "", 0, true},
	} {
		if got, isCut := cut([]byte(tt.text), tt.most); string(got) != tt.want || isCut != tt.cut {
			t.Errorf("%q to %d: %q, %t", tt.text, tt.most, got, isCut)
		}
	}
	if argv := splitArgv(nil); argv == nil || len(argv) != 0 {
		t.Errorf("nothing is %#v", argv)
	}
}

// TestLeftoverAge: the kernel tells it in ticks, but no leftover is older than its job.
func TestLeftoverAge(t *testing.T) {
	j := list(os.Getpid())
	if len(j.left) != 1 || *j.left[0].AgeS > 0.01 {
		t.Errorf("%+v", j.left)
	}
}

// A holding containment notes what is done to it, in order.
type holding struct {
	*scripted
	held bool
	err  error
	did  []string
}

func (h *holding) Hold() (bool, error) {
	h.did = append(h.did, "hold")
	return h.held, h.err
}

// TestHold: leftovers are held before they are listed, where that can be done and they are
// to be ended; many that could not be held are listed when they are dead.
func TestHold(t *testing.T) {
	few, many := 1, maxLeftovers+1
	tests := []struct {
		name      string
		leftovers protocol.Leftovers
		pids      int
		held      bool
		err       error
		want      []string
	}{
		{"few", "", few, true, nil, []string{"hold", "procs", "kill, 1 listed"}},
		{"few, not held", "", few, false, errTest, []string{"hold", "procs", "kill, 1 listed"}},
		{"many", protocol.LeftoversFail, many, true, nil, []string{"hold", "procs", "kill, some listed"}},
		{"many, not held", "", many, false, errTest, []string{"hold", "procs", "kill, 0 listed"}},
		{"waited for", protocol.LeftoversWait, few, true, nil, []string{"procs"}},
	}
	for _, tt := range tests {
		h := &holding{scripted: &scripted{group: &group{t: t}}, held: tt.held, err: tt.err}
		j := &Job{Spec: Spec{Containment: h, Leftovers: tt.leftovers}, s: &Supervisor{}, place: -1, started: time.Now()}
		j.exit = protocol.NewEvent(protocol.Exited, 1, 0, 0)
		h.procs = func() ([]int, error) {
			h.did = append(h.did, "procs")
			return slices.Repeat([]int{os.Getpid()}, tt.pids), nil
		}
		h.kill = func() error {
			listed := map[bool]string{true: "some", false: []string{"0", "1"}[min(1, len(j.left))]}[len(j.left) > 1]
			if tt.name == "many" && listed == "1" {
				listed = "some" // the time that listing may take is bounded
			}
			h.did = append(h.did, "kill, "+listed+" listed")
			return nil
		}
		j.outlived()
		if !slices.Equal(h.did, tt.want) || len(j.left) == 0 || j.leftAll != tt.pids {
			t.Errorf("%s: %q, want %q; %d listed of %d", tt.name, h.did, tt.want, len(j.left), j.leftAll)
		}
		if want := tt.leftovers != protocol.LeftoversWait; (j.err != nil) != (want && tt.err != nil) || (j.state == Killing) != want {
			t.Errorf("%s: %v, %v", tt.name, j.state, j.err)
		}
	}
}
