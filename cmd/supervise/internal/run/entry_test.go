package run

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	foreign = 54321 // a user who is not root
	other   = 54322 // and another
)

// A shared is a directory of root's with a file that nobody else may touch, and others in
// it that others may write.
type shared struct {
	t   *testing.T
	dir string
}

func newShared(t *testing.T) *shared {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root alone can give files away")
	}
	s := &shared{t, t.TempDir()}
	s.must(os.Mkdir(s.in("root"), 0o755))
	s.must(os.WriteFile(s.in("root/secret"), []byte("secret"), 0o600))
	s.must(os.Mkdir(s.in("theirs"), 0o755))
	if err := os.Chown(s.in("theirs"), foreign, foreign); errors.Is(err, unix.EINVAL) {
		t.Skip("a user namespace without other users")
	} else {
		s.must(err)
	}
	s.must(os.Mkdir(s.in("sticky"), 0o755))
	s.must(os.Chmod(s.in("sticky"), 0o777|os.ModeSticky))
	return s
}

func (s *shared) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shared) in(name string) string { return filepath.Join(s.dir, name) }

// file, link and fifo make what belongs to a user.
func (s *shared) file(name string, uid int) {
	s.must(os.WriteFile(s.in(name), []byte("before"), 0o644))
	s.must(os.Chown(s.in(name), uid, uid))
}

func (s *shared) link(to, name string, uid int) {
	s.must(os.Symlink(to, s.in(name)))
	s.must(os.Lchown(s.in(name), uid, uid))
}

func (s *shared) fifo(name string, uid int) {
	s.must(unix.Mkfifo(s.in(name), 0o644))
	s.must(os.Chown(s.in(name), uid, uid))
	f, err := os.OpenFile(s.in(name), os.O_RDWR, 0) // a reader
	s.must(err)
	s.t.Cleanup(func() { f.Close() })
}

func (s *shared) wantText(name, want string) {
	s.t.Helper()
	if b, err := os.ReadFile(s.in(name)); err != nil || string(b) != want {
		s.t.Errorf("%s has %q, %v; want %q", name, b, err, want)
	}
}

// refuses checks that nothing is opened for samples and, if record is set, for a record.
func (s *shared) refuses(name string, record bool) {
	s.t.Helper()
	if fd, err := openSamples(s.in(name)); err == nil {
		unix.Close(fd)
		s.t.Errorf("samples: %s was opened", name)
	} else if strings.Contains(err.Error(), "\n") {
		s.t.Errorf("%s: %q", name, err)
	}
	if f, err := openRecord(s.in(name)); record && err == nil {
		f.entry.close()
		s.t.Errorf("record: %s was taken", name)
	}
}

// takes checks that text is written for samples.
func (s *shared) takes(name string) {
	s.t.Helper()
	fd, err := openSamples(s.in(name))
	if err == nil {
		_, err = unix.Write(fd, []byte("after"))
		unix.Close(fd)
	}
	if err != nil {
		s.t.Errorf("samples: %s: %v", name, err)
	}
}

// TestForeignDirectory: what another user has put into a directory leads root nowhere
// else.
func TestForeignDirectory(t *testing.T) {
	s := newShared(t)
	before := openFDs(t)
	for _, dir := range []string{"theirs", "sticky"} {
		s.link("../root/secret", dir+"/link", foreign)
		s.link("../root/secret", dir+"/own", 0)
		s.link("../root/new", dir+"/dangling", foreign)
		s.must(unix.Mknod(s.in(dir+"/device"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		for _, name := range []string{"link", "own", "dangling", "device"} {
			s.refuses(dir+"/"+name, true)
		}
		s.must(os.Link(s.in("root/secret"), s.in(dir+"/hard")))
		s.takes(dir + "/hard")
		s.wantText(dir+"/hard", "after")
		s.takes(dir + "/new")
		s.wantText(dir+"/new", "after")
	}
	s.wantText("root/secret", "secret")
	if left := files(t, s.in("root")); len(left) != 1 {
		t.Errorf("root's directory has %q", left)
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestForeignFiles: in the directory of another user that user's file is replaced, and
// keeps its text for those that have it open; in one such as /tmp it is refused.
func TestForeignFiles(t *testing.T) {
	s := newShared(t)
	s.file("theirs/file", foreign)
	old, err := os.Open(s.in("theirs/file"))
	s.must(err)
	defer old.Close()
	s.takes("theirs/file")
	s.wantText("theirs/file", "after")
	if b, err := io.ReadAll(old); err != nil || string(b) != "before" {
		t.Errorf("the old file has %q, %v", b, err)
	}
	s.file("sticky/file", foreign)
	s.refuses("sticky/file", true)
	s.wantText("sticky/file", "before")
}

// TestForeignFIFO: the rule is that of fs.protected_fifos.
func TestForeignFIFO(t *testing.T) {
	s := newShared(t)
	s.fifo("theirs/fifo", foreign)
	s.fifo("theirs/own", 0)
	s.fifo("sticky/own", 0)
	for _, name := range []string{"theirs/fifo", "theirs/own", "sticky/own"} {
		s.takes(name)
	}
	s.fifo("theirs/other", other)
	s.fifo("sticky/other", other)
	s.refuses("theirs/other", true)
	s.refuses("sticky/other", true)
}

// TestForeignLink: a symbolic link on the way leads root only where its user could have
// written as well.
func TestForeignLink(t *testing.T) {
	s := newShared(t)
	s.must(os.Mkdir(s.in("theirs/sub"), 0o755))
	s.must(os.Chown(s.in("theirs/sub"), foreign, foreign))
	s.link("sub", "theirs/same", foreign)
	s.link(s.in("sticky"), "theirs/sticky", foreign)
	s.link("../theirs", "root/theirs", 0)
	for _, name := range []string{"theirs/same", "theirs/sticky", "root/theirs"} {
		s.takes(name + "/new")
		f, err := openRecord(s.in(name + "/record"))
		s.must(err)
		s.must(f.write([]byte("record")))
		f.entry.close()
		s.wantText(name+"/record", "record")
	}
	s.link("../root", "theirs/root", foreign)
	s.link("../root", "theirs/own", 0) // or a second link to one of root's
	s.link("../theirs/root", "root/chain", 0)
	s.link("../theirs/root/secret", "root/final", 0)
	s.link("loop", "root/loop", 0)
	for _, name := range []string{"theirs/root/secret", "theirs/own/secret", "root/chain/secret", "root/final", "root/loop/x", "root/loop", "root/secret/x"} {
		s.refuses(name, true)
	}
	s.wantText("root/secret", "secret")
}

// TestNamedByUser: in directories of our own anything can be written to, by any name.
func TestNamedByUser(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	for link, to := range map[string]string{"file": "real", "missing": "made", "null": "/dev/null", "chain": "file"} {
		if err := errors.Join(os.WriteFile("real", []byte("before"), 0o600), os.Symlink(to, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo("fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if fd, err := openSamples("fifo"); err != unix.ENXIO {
		t.Errorf("a FIFO without a reader: %d, %v", fd, err)
	}
	fifo, err := os.OpenFile("fifo", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	before := openFDs(t)
	number := strconv.Itoa(int(write.Fd()))
	for _, name := range []string{"file", "missing", "null", "chain", "fifo", "/dev/null", "/dev/fd/" + number, "/proc/self/fd/" + number, "/proc/self/cwd/new", "./new"} {
		fd, err := openSamples(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n, err := unix.Write(fd, []byte("after")); n != 5 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		unix.Close(fd)
	}
	for _, name := range []string{"real", "made", "new"} {
		if b, err := os.ReadFile(name); err != nil || string(b) != "after" {
			t.Errorf("%s has %q, %v", name, b, err)
		}
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestNumberOfNoDescriptor: the directory that is held takes the number of no descriptor
// that is named and not open.
func TestNumberOfNoDescriptor(t *testing.T) {
	free, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free)
	name, file := "fd:"+strconv.Itoa(free), filepath.Join(t.TempDir(), "file")
	for _, c := range []commandLine{{record: file, samplesFile: name}, {record: name, samplesFile: file}} {
		r := &runner{c: &c}
		if err := r.openFiles(); err == nil {
			t.Errorf("%+v: %s was open", c, name)
		}
		if r.out.entry != nil {
			r.out.entry.close()
		}
	}
}
