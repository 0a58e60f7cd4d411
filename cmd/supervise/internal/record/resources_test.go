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
	}
	for _, tt := range tests {
		r := protocol.Record{Cause: tt.cause, Exit: tt.exit}
		SetOOM(&r, cgroup.OOM{Cause: tt.oom, Path: "/sys/fs/cgroup/x", Kills: 3})
		if r.Cause != tt.want || (r.OOM != nil) != (tt.oom != cgroup.OOMNone) {
			t.Errorf("%+v: %s, %+v", tt, r.Cause, r.OOM)
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
