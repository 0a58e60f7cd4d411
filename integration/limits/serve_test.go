package limits

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"github.com/seed-c1490a04/supervise/protocol/client"
)

// startServe starts a supervisor with room for events.
func startServe(t *testing.T) *client.Conn {
	t.Helper()
	need(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	conn, err := client.Start(ctx, client.Options{
		Path: filepath.Join(os.Getenv("SUPERVISE_TEST_BIN"), "supervise"), Args: []string{"--contain=cgroup"},
		Events: 1000, Patience: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, want := range []string{"cpu", "memory", "pids", "io"} {
		if !strings.Contains(strings.Join(conn.Hello().Controllers, " "), want) {
			t.Fatalf("controllers %v, want %s", conn.Hello().Controllers, want)
		}
	}
	return conn
}

// expect reads events up to one of this name.
func expect(t *testing.T, conn *client.Conn, method string) client.Event {
	t.Helper()
	for late := time.After(patience); ; {
		select {
		case e, ok := <-conn.Events():
			if !ok {
				t.Fatalf("the events end (%v), without %s", conn.Err(), method)
			}
			if e.Method == method {
				return e
			}
			if e.Method == protocol.NoteEnded {
				t.Fatalf("the job has ended, without %s: %+v", method, e.Params.(*protocol.JobEnded).Record)
			}
		case <-late:
			t.Fatalf("no %s", method)
		}
	}
}

// TestServeOOM: the owner hears of the kill, before the record that says whose it was.
func TestServeOOM(t *testing.T) {
	conn := startServe(t)
	cmd := conn.Command("sh", "-c", "dd if=/dev/zero of=/dev/null bs=256M count=1; sleep 1000")
	cmd.Limits, cmd.Notify = map[string]string{"memory-max": "64M"}, []string{protocol.NotifyOOM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hit := expect(t, conn, protocol.NoteOOM).Params.(*protocol.LimitHit)
	if hit.Job != cmd.Job() || hit.Memory == nil || *hit.Memory.OOMKill == 0 {
		t.Errorf("oom: %+v", hit)
	}
	var exit *client.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if r := cmd.Record(); r.Cause != protocol.CauseOOM || r.OOM == nil || r.OOM.By != protocol.OOMByJob || *r.Memory.PeakBytes > 64*mib {
		t.Errorf("cause %s, oom %+v, memory %+v", r.Cause, r.OOM, r.Memory)
	}
}

// TestServeLimit: a limit that is changed holds for the job that runs, and its hits are told.
func TestServeLimit(t *testing.T) {
	conn := startServe(t)
	cmd := conn.Command("sh", "-c", "read go; (for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done); read end") // a shell that cannot fork ends
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Notify = []string{protocol.NotifyLimit}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	set, err := cmd.Limit(map[string]string{"pids-max": "4", "cpus": "0.5", "memory-high": "256M"})
	if err != nil || len(set.Limits) != 3 {
		t.Fatalf("%+v, %v", set, err)
	}
	stdin.Write([]byte("go\n"))
	if hit := expect(t, conn, protocol.NoteLimit).Params.(*protocol.LimitHit); hit.PidsMax == nil || *hit.PidsMax == 0 {
		t.Errorf("limit: %+v", hit)
	}
	st, err := cmd.Stat()
	if err != nil || st.Sample == nil || st.Sample.Pids == nil || *st.Sample.Pids > 4 || st.Sample.Memory.CurrentBytes == nil {
		t.Errorf("%+v, %v", st, err)
	}
	cmd.Kill()
	cmd.Wait()
	if r := cmd.Record(); *r.Pids.Peak != 4 || r.Pids.MaxHits == nil || *r.Pids.MaxHits == 0 {
		t.Errorf("pids %+v", r.Pids)
	}
	var refused *protocol.Error
	bad := conn.Command("true")
	bad.Limits = map[string]string{"cpuset": "4095"}
	if err := bad.Run(); !errors.As(err, &refused) || refused.Code != protocol.CodeLimit || refused.Data.Field != "limits.cpuset" {
		t.Errorf("cpuset 4095: %v", err)
	}
}

// TestServeDelegate: a job that is delegated to gives its own sub-cgroups limits; one that is not has none to give.
func TestServeDelegate(t *testing.T) {
	conn := startServe(t)
	const script = `cd "$(awk '/ - cgroup2 /{print $5; exit}' /proc/self/mountinfo)$(sed -n 's/^0:://p' /proc/self/cgroup)" && cat cgroup.controllers`
	for _, delegate := range []bool{true, false} {
		cmd := conn.Command("sh", "-c", script)
		cmd.Delegate = delegate
		out, err := cmd.Output()
		if has := strings.Contains(string(out), "memory"); err != nil || has != delegate {
			t.Errorf("delegate %t: %v, controllers %q", delegate, err, out)
		}
	}
}

// TestServePressure: two that burn one CPU between them wait for it.
func TestServePressure(t *testing.T) {
	conn := startServe(t)
	cmd := conn.Command("sh", "-c", "while :; do :; done & while :; do :; done")
	cmd.Limits = map[string]string{"cpuset": "0"}
	cmd.Pressure = []protocol.PressureTrigger{{Resource: "cpu", StallS: 0.05, WindowS: 1}}
	cmd.Sample = 100 * time.Millisecond
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if hit := expect(t, conn, protocol.NotePressure).Params.(*protocol.PressureHit); hit.Job != cmd.Job() || hit.Resource != "cpu" {
		t.Errorf("pressure: %+v", hit)
	}
	if s := expect(t, conn, protocol.NoteSample).Params.(*protocol.JobSample); s.CPU.TotalS == nil || s.Memory.AnonBytes == nil {
		t.Errorf("sample: %+v", s)
	}
	cmd.Kill()
	cmd.Wait()
	if r := cmd.Record(); r.Memory.AtPeak == nil {
		t.Errorf("samples leave no peak: %+v", r.Memory)
	}
}

// TestServeCPUTimeout: the time of all processes together, to within 1% or 10 ms.
func TestServeCPUTimeout(t *testing.T) {
	conn := startServe(t)
	cmd := conn.Command("sh", "-c", "while :; do :; done & while :; do :; done")
	cmd.CPUTimeout, cmd.Grace = 2*time.Second, -1
	cmd.Run()
	r := cmd.Record()
	if r == nil || r.Cause != protocol.CauseCPUTimeout {
		t.Fatalf("record %+v", r)
	}
	if used := *r.CPU.TotalS; used < 2 || used > 2.5 {
		t.Errorf("it used %v s", used)
	}
}
