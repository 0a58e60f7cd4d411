package record

import (
	"bytes"
	"errors"
	"io"
	"os"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

func TestSetResources(t *testing.T) {
	var r protocol.Record
	SetResources(&r, nil)
	if !reflect.DeepEqual(r, protocol.Record{}) {
		t.Errorf("of nothing: %+v", r)
	}
	user, some := uint64(1_500_000), uint64(250)
	SetResources(&r, &cgroup.Stats{CPU: &cgroup.CPUStat{User: &user}, IOPressure: &cgroup.Pressure{Some: &some}})
	if *r.CPU.UserS != 1.5 || r.CPU.SystemS != nil || *r.Pressure.IO.SomeS != 0.00025 || r.Pressure.IO.FullS != nil || r.Memory.Events != nil {
		t.Errorf("%+v", r)
	}
}

// TestSetOOM: the cause is oom only where the main process was killed, and not by us.
func TestSetOOM(t *testing.T) {
	killed := &protocol.Exit{Signal: new("SIGKILL")}
	tests := []struct {
		cause protocol.Cause
		exit  *protocol.Exit
		oom   cgroup.OOMCause
		want  protocol.Cause
	}{
		{protocol.CauseSignaled, killed, cgroup.OOMOwnLimit, protocol.CauseOOM},
		{protocol.CauseSignaled, killed, cgroup.OOMNone, protocol.CauseSignaled},
		{protocol.CauseKilled, killed, cgroup.OOMMachine, protocol.CauseKilled},
		{protocol.CauseExited, &protocol.Exit{Code: new(1)}, cgroup.OOMOwnLimit, protocol.CauseExited},
		{protocol.CauseSignaled, killed, cgroup.OOMUnknown, protocol.CauseSignaled},
	}
	for _, tt := range tests {
		r := protocol.Record{Cause: tt.cause, Exit: tt.exit}
		SetOOM(&r, cgroup.OOM{Cause: tt.oom, Path: "/sys/fs/cgroup/x", Kills: new(uint64(3))})
		some := tt.oom != cgroup.OOMNone && tt.oom != cgroup.OOMUnknown
		if r.Cause != tt.want || (r.OOM != nil) != some || (r.OOMKilled == nil) != (tt.oom == cgroup.OOMUnknown) || r.OOMKilled != nil && *r.OOMKilled != some {
			t.Errorf("%+v: %s, %v, %+v", tt, r.Cause, r.OOMKilled, r.OOM)
		}
	}
}

// TestSetUnsureOOM: that a process was killed in a cgroup around the job, which holds others too, tells of the job only if
// its main process does. Else it is not known.
func TestSetUnsureOOM(t *testing.T) {
	for _, tt := range []struct {
		exit protocol.Exit
		some bool
	}{
		{protocol.Exit{Signal: new("SIGKILL")}, true},
		{protocol.Exit{Code: new(137)}, true},
		{protocol.Exit{Code: new(1)}, false},
		{protocol.Exit{Signal: new("SIGTERM")}, false},
	} {
		r := protocol.Record{Cause: protocol.CauseSignaled, Exit: &tt.exit}
		SetOOM(&r, cgroup.OOM{Cause: cgroup.OOMAncestor, Path: "/sys/fs/cgroup/x", Unsure: true})
		if (r.OOM != nil) != tt.some || (r.OOMKilled != nil) != tt.some || tt.some && (r.OOM.Kills != nil || !*r.OOMKilled) {
			t.Errorf("%+v: %v, %+v", tt, r.OOMKilled, r.OOM)
		}
	}
}

// TestWriteAll: a pipe that is non-blocking and full is waited for, and one that
// nobody reads is an error.
func TestWriteAll(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r := os.NewFile(uintptr(p[0]), "pipe")
	defer r.Close()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	got := make(chan []byte)
	go func() { // ends at end of file
		b, _ := io.ReadAll(r)
		got <- b
	}()
	err := WriteAll(p[1], want)
	unix.Close(p[1])
	if b := <-got; err != nil || !bytes.Equal(b, want) {
		t.Errorf("%d of %d bytes, %v", len(b), len(want), err)
	}
	if err := WriteAll(p[1], want); !errors.Is(err, unix.EBADF) {
		t.Errorf("to a closed descriptor: %v", err)
	}
}
