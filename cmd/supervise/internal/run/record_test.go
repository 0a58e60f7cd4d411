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
		target, name string
		fd           int
	}{
		{"", "", -1},
		{"-", "", 1},
		{"fd:0", "", 0},
		{"fd:2", "", 2},
		{"job.json", "job.json", -1},
		{"./a b", "a b", -1},
		{filepath.Join(dir, "fd:1"), "fd:1", -1},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			f, err := openRecord(tt.target)
			if err != nil || f.fd != tt.fd || f.wanted() != (tt.target != "") || (f.entry != nil) != (tt.name != "") {
				t.Fatalf("got %+v, %v", f, err)
			}
			if f.entry == nil {
				return
			}
			defer f.entry.close()
			var here, there unix.Stat_t
			if err := errors.Join(unix.Stat(dir, &here), unix.Fstat(f.entry.dir, &there)); err != nil {
				t.Fatal(err)
			}
			if f.entry.name != tt.name || here.Ino != there.Ino {
				t.Errorf("got %+v, in %d, want %d", f.entry, there.Ino, here.Ino)
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

// TestRecordDirectory: the record goes into the directory that was checked, even if
// another one has its name by now; if it was removed, into the new one.
func TestRecordDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	mkdirs := errors.Join(os.Mkdir("out", 0o755), os.Mkdir("target", 0o755))
	if err := errors.Join(mkdirs, os.WriteFile("target/r.json", []byte("other"), 0o644)); err != nil {
		t.Fatal(err)
	}
	f, err := openRecord("out/r.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename("out", "x"), os.Symlink("target", "out"), f.write([]byte("record"))); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"target/r.json": "other", "x/r.json": "record"} {
		if b, err := os.ReadFile(file); err != nil || string(b) != want {
			t.Errorf("%s has %q, %v", file, b, err)
		}
	}
	gone := errors.Join(os.RemoveAll("x"), os.Remove("out"), os.Mkdir("out", 0o755))
	if err := errors.Join(gone, f.write([]byte("again"))); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("out/r.json"); err != nil || string(b) != "again" {
		t.Errorf("the new directory's has %q, %v", b, err)
	}
	f.entry.close()
}

// TestRecordNameTaken: no name that can be foreseen keeps the record from being written.
func TestRecordNameTaken(t *testing.T) {
	dir := t.TempDir()
	f, err := openRecord(filepath.Join(dir, "job.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.entry.close()
	taken := "." + "job.json." + strconv.Itoa(os.Getpid())
	if err := errors.Join(os.Mkdir(filepath.Join(dir, taken), 0o755), f.write([]byte("x"))); err != nil {
		t.Error(err)
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
