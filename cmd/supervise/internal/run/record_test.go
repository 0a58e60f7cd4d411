package run

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
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
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

func TestDeliver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job.json")
	out, err := openRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{
		Program: cli.Program{Version: func() string { return "v1" }},
		c:       &commandLine{name: "n", argv: []string{"nosuch"}}, out: out, began: time.Unix(1e9, 5),
	}
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
		Schema: "supervise.record/1", Version: "v1", Name: new("n"), Argv: []string{"nosuch"}, Started: at, Ended: got.Ended, WallS: got.WallS,
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
	r := &runner{Program: cli.Program{Version: func() string { return "v1" }}, c: &commandLine{}, out: out, guarding: true}
	if err := r.deliver(&protocol.Record{Cause: protocol.CauseExited}); err != nil || files(t, dir) != nil {
		t.Errorf("the outer one has written %q, %v", files(t, dir), err)
	}
	if err := r.deliver(&protocol.Record{Cause: protocol.CauseStartFailed}); err != nil || files(t, dir) == nil {
		t.Errorf("of a failed start: %q, %v", files(t, dir), err)
	}
}
