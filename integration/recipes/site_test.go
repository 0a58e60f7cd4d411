package recipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience is how long anything may take on a busy machine.
const patience = 2 * time.Minute

// A holder is what the recipe finds as `supervise`.
type holder struct {
	name  string
	holds bool
	// script is the program, in which BIN is the directory of the real one.
	script string
}

var holders = []holder{
	{"without", false, `while [ "$1" != -- ]; do shift; done; shift; exec "$@"`},
	{"cgroup", true, `shift; exec BIN/supervise run --contain=cgroup "$@"`},
	{"fallback", true, `shift; exec BIN/supervise run --contain=subreaper "$@"`},
}

// A site is where a recipe is tried: a directory with ./job, and one of programs, supervise among them.
type site struct {
	*testing.T
	holder
	dir, programs string
	// tag is an argument of sleep that no other test has, by which the daemons are known.
	tag  string
	over *os.File
}

var sites atomic.Int64

// forEachHolder runs a test with each `supervise`, all beside one another.
func forEachHolder(t *testing.T, test func(s *site)) {
	for _, h := range holders {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			if h.name == "cgroup" {
				msg, err := exec.Command(filepath.Join(bin, "supervise"), "run", "--contain=cgroup", "--", "true").CombinedOutput()
				if err != nil {
					testbed.Need(t, "a cgroup", fmt.Errorf("%w: %s", err, msg))
				}
			}
			test(newSite(t, h))
		})
	}
}

func newSite(t *testing.T, h holder) *site {
	t.Helper()
	s := &site{T: t, holder: h, tag: fmt.Sprintf("98764.%d%04d", os.Getpid(), sites.Add(1))}
	top, err := os.MkdirTemp("/tmp", "supervise-recipes-") // a short name, for sockets, and none that go test has made for one user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	s.dir, s.programs = filepath.Join(top, "work"), filepath.Join(top, "bin")
	for _, dir := range []string{top, s.dir, s.programs} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	s.install()
	s.write("job", 0o755, strings.NewReplacer("DIR", s.dir, "TAG", s.tag).Replace(job))
	s.over = s.fifo("over")
	return s
}

// install copies what the pages tell a user to, and makes supervise.
func (s *site) install() {
	s.Helper()
	for _, pattern := range []string{"supervise-*", "ci/*"} {
		files, err := filepath.Glob(testbed.Source("contrib", "recipes", pattern))
		if err != nil {
			s.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				s.Fatal(err)
			}
			s.write("../bin/"+filepath.Base(file), 0o755, string(text))
		}
	}
	s.write("../bin/supervise", 0o755, "#!/bin/sh\n"+strings.ReplaceAll(s.script, "BIN", bin)+"\n")
}

// job leaves a daemon: forked twice, in a session of its own, and without a descriptor that it was given. Then it tells its pid.
const job = `#!/bin/sh
started=DIR/started.$$
mkfifo $started || exit
setsid -f sh -c '
	exec 0</dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
	sleep TAG &
	echo >'$started
read _ <$started
echo $$ >DIR/over
`

// fifo makes one, and opens it so that a reader waits for the writers, and none has to be there.
func (s *site) fifo(name string) *os.File {
	s.Helper()
	name = filepath.Join(s.dir, name)
	if err := unix.Mkfifo(name, 0o666); err != nil {
		s.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { f.Close() })
	f.SetReadDeadline(time.Now().Add(patience))
	return f
}

// write writes a file while no other test forks: the child would have it open until it executes its program, and meanwhile this one
// cannot be executed ("text file busy").
func (s *site) write(name string, mode os.FileMode, text string) {
	s.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), mode); err != nil {
		s.Fatal(err)
	}
}

// close ends what the recipe has left, and fails the test if there should have been none.
func (s *site) close() {
	left := s.daemons()
	for _, pid := range left {
		unix.Kill(pid, unix.SIGKILL)
	}
	if s.holds && len(left) > 0 {
		s.Errorf("left: %d", left)
	}
	os.RemoveAll(filepath.Dir(s.dir))
}

// daemons are those that jobs have left, by now.
func (s *site) daemons() (pids []int) {
	for pid, command := range testbed.Commands() {
		if strings.Contains(command, s.tag) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// jobsOver waits until n jobs have run to their end.
func (s *site) jobsOver(n int) {
	s.Helper()
	for range n {
		var pid int
		if _, err := fmt.Fscanln(s.over, &pid); err != nil {
			s.Fatalf("waiting for the end of a job: %v", err)
		}
		testbed.Eventually(s, patience, "the end of a job", func() error {
			if unix.Kill(pid, 0) == nil {
				return fmt.Errorf("%d is there", pid)
			}
			return nil
		})
	}
}

// judge looks what has become of n jobs of a program that has ended, and with which its jobs are to have ended.
func (s *site) judge(n int) {
	s.Helper()
	s.jobsOver(n)
	s.wantDaemons(n)
}

// judgeSoon is judge for a program of which it is not known when it is done.
func (s *site) judgeSoon(n int) {
	s.Helper()
	s.jobsOver(n)
	s.wantDaemonsSoon(n)
}

// wantDaemons wants none if supervise holds them, now; else those of n jobs, whose parents may not have ended yet.
func (s *site) wantDaemons(n int) {
	s.Helper()
	if left := s.daemons(); s.holds && len(left) > 0 {
		s.Errorf("left: %d", left)
	}
	s.wantDaemonsSoon(n)
}

// wantDaemonsSoon gives supervise time to end them.
func (s *site) wantDaemonsSoon(n int) {
	s.Helper()
	if s.holds {
		n = 0
	}
	testbed.Eventually(s, patience, "the daemons", func() error {
		if got := s.daemons(); len(got) != n {
			return fmt.Errorf("%d, want %d of them", got, n)
		}
		return nil
	})
}

// command is a program in the directory of the job, which finds supervise on PATH.
func (s *site) command(argv ...string) *exec.Cmd {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.Cleanup(cancel)
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Dir = s.dir
	c.Env = []string{"PATH=" + s.programs + ":/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + s.dir, "TMPDIR=" + s.dir, "SHELL=/bin/sh",
		"USER=" + os.Getenv("USER"), "LOGNAME=root", "LC_ALL=C.UTF-8"}
	c.WaitDelay = 10 * time.Second
	return c
}

// run runs a line of shell, and returns what it says.
func (s *site) run(script string, env ...string) string {
	s.Helper()
	c := s.command("sh", "-c", script)
	c.Env = append(c.Env, env...)
	out, err := c.CombinedOutput()
	if err != nil {
		s.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// local is a recipe of this page with the directory in which its programs are here.
func (s *site) local(text string) string {
	s.Helper()
	return replaced(s.T, text, "/usr/local/bin", s.programs)
}
