package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

func TestNewExit(t *testing.T) {
	tests := []struct {
		name string
		e    *protocol.Event
		want string
	}{
		{"none", nil, `null`},
		{"0", protocol.NewEvent(protocol.Exited, 1, 0, 0), `{"code":0,"signal":null,"core":false}`},
		{"255", protocol.NewEvent(protocol.Exited, 1, 0, 255), `{"code":255,"signal":null,"core":false}`},
		{"killed", protocol.NewEvent(protocol.Killed, 1, 0, 9), `{"code":null,"signal":"SIGKILL","core":false}`},
		{"dumped", protocol.NewEvent(protocol.Dumped, 1, 0, 11), `{"code":null,"signal":"SIGSEGV","core":true}`},
		{"real-time", protocol.NewEvent(protocol.Killed, 1, 0, 40), `{"code":null,"signal":"SIGRTMIN+6","core":false}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := json.Marshal(NewExit(tt.e)); err != nil || string(b) != tt.want {
				t.Errorf("got %s, %v, want %s", b, err, tt.want)
			}
		})
	}
}

// TestRecord: the containment is asked for its part once, while it is open; the rest is
// of the one job.
func TestRecord(t *testing.T) {
	for script, unkilled := range map[string]bool{"exit 3": true, "kill -KILL $$": false, "sleep 20 & exit 0": false} {
		s, c := newScripted(t)
		asked := 0
		c.record = func(r *protocol.Record, is bool) {
			if asked++; c.closed != 0 || is != unkilled {
				t.Errorf("%s: closed %d times, unkilled %t", script, c.closed, is)
			}
		}
		r := run(t, s, c.shell(script))
		if asked != 1 || r.WallS <= 0 || r.Main.MaxRSSBytes != nil || *r.Main.MinorFaults == 0 {
			t.Errorf("%s: asked %d times; %g s, %+v", script, asked, r.WallS, r.Main)
		}
		if r.CPU.UserS == nil || r.CPU.TotalS == nil {
			t.Errorf("%s: of processes that were all waited for the time is known: %+v", script, r.CPU)
		}
	}
}

// TestRecordCgroup: the time of a job in a cgroup is the cgroup's, or not known.
func TestRecordCgroup(t *testing.T) {
	s, c := newScripted(t)
	c.record = func(r *protocol.Record, _ bool) { r.Containment = protocol.ContainmentCgroup }
	if r := run(t, s, c.shell("exit 0")); r.CPU.TotalS != nil {
		t.Errorf("%+v", r.CPU)
	}
}

// TestMainUsage puts each count of getrusage(2) in its place.
func TestMainUsage(t *testing.T) {
	m := NewMainUsage(&unix.Rusage{Maxrss: 1, Minflt: 2, Majflt: 3, Nvcsw: 4, Nivcsw: 5})
	got := [...]uint64{*m.MaxRSSBytes, *m.MinorFaults, *m.MajorFaults, *m.VoluntarySwitches, *m.InvoluntarySwitches}
	if want := [...]uint64{1024, 2, 3, 4, 5}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestPeak: a program that has less memory than the one that starts it is counted the memory of that. So it is not known,
// and that of a larger one is.
func TestPeak(t *testing.T) {
	ours := make([]byte, 64<<20)
	for i := 0; i < len(ours); i += os.Getpagesize() {
		ours[i] = 1
	}
	larger := ownPeak()>>10 + 136 // MiB; under the race detector this process may have hundreds
	large := fmt.Sprintf("exec dd if=/dev/zero of=/dev/null bs=%dM count=1 status=none", larger)
	for script, known := range map[string]bool{"exit 0": false, large: true} {
		s, c := newScripted(t)
		r := run(t, s, c.shell(script))
		if peak := r.Main.MaxRSSBytes; (peak != nil) != known || known && *peak < uint64(larger)<<20 {
			t.Errorf("%s: %+v, of our own %d KiB", script, r.Main, ownPeak())
		}
	}
	runtime.KeepAlive(ours)
}

func TestErrorText(t *testing.T) {
	if got := errorText(errors.Join(errTest, unix.ENOENT)); got != errTest.Error()+"; "+unix.ENOENT.Error() {
		t.Errorf("%q", got)
	}
	if got := errorText(nil); got != "" {
		t.Errorf("%q", got)
	}
}

// TestRecordError: what cannot be printed, in a path say, does not reach a terminal by the record's summary.
func TestRecordError(t *testing.T) {
	j := &Job{s: &Supervisor{}, record: NewRecord(time.Now()), err: errors.Join(errors.New("open /a\x1b[2Jb"), errors.New("c"))}
	if got := j.completeRecord().Error; got == nil || *got != `open /a\x1b[2Jb; c` {
		t.Errorf("got %v", got)
	}
	known := "the supervisor of the job was killed"
	j.record = NewRecord(time.Now())
	j.record.Error = &known
	if got := j.completeRecord().Error; *got != known {
		t.Errorf("the containment's error became %q", *got)
	}
}
