package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

// files lists a directory.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func openFDs(t *testing.T) int {
	t.Helper()
	return len(files(t, "/proc/self/fd"))
}

func TestOpenRecord(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	tests := []struct {
		target string
		want   recordFile
		wanted bool
	}{
		{"", recordFile{fd: -1}, false},
		{"-", recordFile{fd: 1}, true},
		{"fd:0", recordFile{fd: 0}, true},
		{"fd:2", recordFile{fd: 2}, true},
		{"job.json", recordFile{-1, filepath.Join(dir, "job.json")}, true},
		{"./a b", recordFile{-1, filepath.Join(dir, "a b")}, true},
		{filepath.Join(dir, "fd:1"), recordFile{-1, filepath.Join(dir, "fd:1")}, true},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			f, err := openRecord(tt.target)
			if err != nil || *f != tt.want || f.wanted() != tt.wanted {
				t.Errorf("got %+v, %v", f, err)
			}
		})
	}
	if left := files(t, dir); left != nil {
		t.Errorf("there is %q before there is a record", left)
	}
}

func TestOpenRecordErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "closed"), 0o500); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		target string
		err    error // nil: any
	}{
		{dir, unix.EISDIR},
		{dir + "/", unix.EISDIR},
		{dir + "/nosuch/file", unix.ENOENT},
		{dir + "/file/file", nil},
		{dir + "/closed/file", unix.EACCES},
		{"fd:", nil},
		{"fd:x", nil},
		{"fd:-1", nil},
		{"fd:1000000", nil},
	}
	before := openFDs(t)
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			if tt.err == unix.EACCES && os.Geteuid() == 0 {
				t.Skip("root may write anywhere")
			}
			if f, err := openRecord(tt.target); err == nil || tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("got %+v, %v, want %v", f, err, tt.err)
			}
		})
	}
	if left := files(t, dir); !reflect.DeepEqual(left, []string{"closed", "file"}) {
		t.Errorf("there is %q", left)
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestRecordAppearsWhole: the file is another one than before, of the mode that
// a new file has.
func TestRecordAppearsWhole(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077, 0o777} {
		t.Run(strconv.FormatInt(int64(mask), 8), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "job.json")
			if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			old, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			defer unix.Umask(unix.Umask(mask))
			f, err := openRecord(path)
			if err == nil {
				err = f.write([]byte("after"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := unix.Umask(mask); got != mask {
				t.Errorf("the umask is %o now", got)
			}
			st, err := os.Stat(path)
			if err != nil || st.Mode() != 0o666&^os.FileMode(mask) || st.Size() != 5 {
				t.Errorf("%v, %v", st, err)
			}
			if b, err := io.ReadAll(old); err != nil || string(b) != "before" {
				t.Errorf("the old file has %q, %v", b, err)
			}
			if left := files(t, dir); !reflect.DeepEqual(left, []string{"job.json"}) {
				t.Errorf("there is %q", left)
			}
		})
	}
}

// TestRecordWriteErrors: what comes between leaves nothing.
func TestRecordWriteErrors(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	target := filepath.Join(sub, "job.json")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := openRecord(target)
	if err != nil {
		t.Fatal(err)
	}
	before := openFDs(t)

	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.write([]byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if left := files(t, sub); !reflect.DeepEqual(left, []string{"job.json"}) {
		t.Errorf("there is %q", left)
	}

	if err := os.RemoveAll(sub); err != nil {
		t.Fatal(err)
	}
	if err := f.write([]byte("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is gone: %v", err)
	}
	if left := files(t, dir); left != nil {
		t.Errorf("there is %q", left)
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
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
	err := writeAll(p[1], want)
	unix.Close(p[1])
	if b := <-got; err != nil || !bytes.Equal(b, want) {
		t.Errorf("%d of %d bytes, %v", len(b), len(want), err)
	}
	if err := writeAll(p[1], want); !errors.Is(err, unix.EBADF) {
		t.Errorf("to a closed descriptor: %v", err)
	}
}

func TestDeliver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job.json")
	out, err := openRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{o: &runOptions{name: "n", argv: []string{"nosuch"}}, out: out, began: time.Unix(1e9, 5)}
	if err := r.deliver(r.failedRecord(errors.Join(errors.New("a"), errors.New("b")))); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(b, []byte("\n")) != 1 || b[len(b)-1] != '\n' {
		t.Errorf("it is not one line: %q", b)
	}
	var got protocol.Record
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	at := protocol.Time{Time: time.Unix(1e9, 5).UTC()}
	want := protocol.Record{
		Schema: "supervise.record/1", Version: version(), Name: new("n"), Argv: []string{"nosuch"}, Started: at, Ended: got.Ended, WallS: got.WallS,
		Cause: protocol.CauseStartFailed, Leftovers: []protocol.Leftover{}, Limits: []protocol.Limit{}, Unenforced: []protocol.Unenforced{}, Error: new("a; b"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if took := got.Ended.Sub(at.Time).Seconds(); took < 1e8 || math.Abs(took-got.WallS) > 1e-6*took {
		t.Errorf("it took %v s; wall_s %v", took, got.WallS)
	}
}

// TestDeliverGuarding: only one of two supervises writes the record of a job.
func TestDeliverGuarding(t *testing.T) {
	dir := t.TempDir()
	out, err := openRecord(filepath.Join(dir, "job.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{o: &runOptions{}, out: out, guarding: true}
	if err := r.deliver(&protocol.Record{Cause: protocol.CauseExited}); err != nil || files(t, dir) != nil {
		t.Errorf("the outer one has written %q, %v", files(t, dir), err)
	}
	if err := r.deliver(&protocol.Record{Cause: protocol.CauseStartFailed}); err != nil || files(t, dir) == nil {
		t.Errorf("of a failed start: %q, %v", files(t, dir), err)
	}
}

func TestExitOf(t *testing.T) {
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
			if b, err := json.Marshal(exitOf(tt.e)); err != nil || string(b) != tt.want {
				t.Errorf("got %s, %v, want %s", b, err, tt.want)
			}
		})
	}
}

func TestSignalName(t *testing.T) {
	for sig, want := range map[unix.Signal]string{
		1: "SIGHUP", 2: "SIGINT", 9: "SIGKILL", 15: "SIGTERM", 16: "SIGSTKFLT", 31: "SIGSYS",
		35: "SIGRTMIN+1", 64: "SIGRTMIN+30",
	} {
		if got := signalName(sig); got != want {
			t.Errorf("signalName(%d) = %s, want %s", sig, got, want)
		}
	}
}

// TestSignalNamesParse: the names of the record are good for --signal.
func TestSignalNamesParse(t *testing.T) {
	for want := unix.Signal(1); want < 32; want++ {
		var got unix.Signal
		if err := parseSignal(&got, strings.TrimPrefix(signalName(want), "SIG")); err != nil || got != want {
			t.Errorf("%s is %d, %v", signalName(want), got, err)
		}
	}
}

func TestSetResources(t *testing.T) {
	var r protocol.Record
	setResources(&r, nil)
	if !reflect.DeepEqual(r, protocol.Record{}) {
		t.Errorf("of nothing: %+v", r)
	}
	user, some := uint64(1_500_000), uint64(250)
	setResources(&r, &cgroup.Stats{CPU: &cgroup.CPUStat{User: &user}, IOPressure: &cgroup.Pressure{Some: &some}})
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
		setOOM(&r, cgroup.OOM{Cause: tt.oom, Path: "/sys/fs/cgroup/x", Kills: 3})
		if r.Cause != tt.want || (r.OOM != nil) != (tt.oom != cgroup.OOMNone) {
			t.Errorf("%+v: %s, %+v", tt, r.Cause, r.OOM)
		}
	}
}
