package hostile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience is how long what should happen may take, on a busy machine too.
const patience = 40 * time.Second

// firstUser is the first of the users of this package; the adversary attacks as none below it.
const firstUser = 200000

// users counts the cells, over all runs at the same time: a process id is unique among them.
var users atomic.Int64

// A cell is one attack on one supervise: a user, a cgroup, and what tells of the end of both.
type cell struct {
	t    *testing.T
	uid  int
	dir  string // its cgroup
	kind kind
	held string // the containment

	cmd    *exec.Cmd
	leak   *os.File // end of file: none of the processes that inherited the other end is left
	owner  *os.File // closing it has supervise end the job
	stdout *os.File // the job's
	told   []string // what the attacker said
	errors bytes.Buffer
	record chan []byte
	exited chan struct{}
}

// newCell makes the user and the cgroup.
func newCell(t *testing.T, k kind, held string) *cell {
	t.Helper()
	n := int(users.Add(1))
	c := &cell{t: t, kind: k, held: held, uid: firstUser + os.Getpid()%4096*8192 + n}
	c.dir = filepath.Join(ground, fmt.Sprint(c.uid))
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if k.own {
		files, _ := filepath.Glob(filepath.Join(c.dir, "*")) // all of them, as a scope of the user's manager has it
		for _, file := range append(files, c.dir) {
			if err := os.Chown(file, c.uid, c.uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(c.close)
	return c
}

// command is a program in the cell's cgroup, as the user that supervise runs as, with so many processes at most.
func (c *cell) command(argv ...string) *exec.Cmd {
	cmd := exec.Command("prlimit", append([]string{"--nproc=400", "--core=0", "--"}, argv...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	dir, err := os.Open(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if c.kind.own {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}
	}
	c.t.Cleanup(func() { dir.Close() })
	return cmd
}

func (c *cell) pipe() (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	return r, w
}

// start starts supervise with the attacks as its job.
func (c *cell) start(attacks ...string) {
	c.t.Helper()
	args := []string{filepath.Join(bin, "supervise"), "run", "--contain=" + c.held, "--owner=fd:4", "--record=fd:5", "--grace=0s"}
	if c.held == "cgroup" {
		args = append(args, "--set=cgroup.max.descendants=5000")
	}
	job := c.kind.wrap(c.uid, filepath.Join(bin, "adversary"), "attack", "-do="+strings.Join(attacks, ","))
	c.cmd = c.command(append(append(args, "--"), job...)...)
	var leak, owner, record, stdin, stdout *os.File
	c.leak, leak = c.pipe()
	owner, c.owner = c.pipe()
	recordEnd, record := c.pipe()
	stdin, stdinEnd := c.pipe() // open until the end: the attacker does not end by itself
	c.stdout, stdout = c.pipe()
	c.cmd.Stdin, c.cmd.Stdout = stdin, stdout
	errorsEnd, stderr := c.pipe()
	c.cmd.Stderr = stderr
	c.cmd.ExtraFiles = []*os.File{leak, owner, record}
	err := c.cmd.Start()
	for _, f := range []*os.File{leak, owner, record, stdin, stdout, stderr} {
		f.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.record, c.exited = make(chan []byte, 1), make(chan struct{})
	said := make(chan struct{})
	go func() { // ends with what has the other end
		io.Copy(&c.errors, io.LimitReader(errorsEnd, 1<<16))
		errorsEnd.Close()
		close(said)
	}()
	go func() {
		text, _ := io.ReadAll(recordEnd)
		c.record <- text
		recordEnd.Close()
	}()
	go func() {
		c.cmd.Wait()
		close(c.exited)
	}()
	c.t.Cleanup(func() {
		c.killAll()
		for _, f := range []*os.File{c.leak, c.owner, c.stdout, stdinEnd} {
			f.Close()
		}
		<-c.exited
		<-said
	})
}

// expectReady reads what the attacker says until it is ready, or dead.
func (c *cell) expectReady() {
	c.t.Helper()
	c.stdout.SetReadDeadline(time.Now().Add(patience))
	lines := bufio.NewScanner(c.stdout)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "":
		case "ready":
			return
		default:
			c.told = append(c.told, line)
		}
	}
	if errors.Is(lines.Err(), os.ErrDeadlineExceeded) {
		c.t.Logf("the attacker is not ready after %v; it said %q", patience, c.told)
	}
}

// expectFrozen waits until a cgroup of the cell is frozen: an attacker that freezes itself says that it is ready before.
func (c *cell) expectFrozen() {
	c.t.Helper()
	testbed.Eventually(c.t, patience, "freezing", func() error {
		for _, dir := range append(testbed.Below(c.dir), c.dir) {
			if set, _ := os.ReadFile(filepath.Join(dir, "cgroup.freeze")); string(set) == "1\n" {
				return nil
			}
		}
		return fmt.Errorf("nothing in %s is frozen", c.dir)
	})
}

// gone says whether no process of supervise or its job is left, or soon.
func (c *cell) gone(soon time.Duration) bool {
	c.leak.SetReadDeadline(time.Now().Add(soon))
	_, err := c.leak.Read(make([]byte, 1))
	return err == io.EOF
}

// goneNow says whether no process is left at this moment.
func (c *cell) goneNow() bool {
	n, err := 0, error(nil)
	c.leak.SetReadDeadline(time.Time{})
	raw, err1 := c.leak.SyscallConn()
	if err1 == nil {
		err1 = raw.Read(func(fd uintptr) bool {
			n, err = syscall.Read(int(fd), make([]byte, 1))
			return true
		})
	}
	return n == 0 && err == nil && err1 == nil
}

// ended says whether supervise has ended, or does soon.
func (c *cell) ended(soon time.Duration) bool {
	select {
	case <-c.exited:
		return true
	case <-time.After(soon):
		return false
	}
}

// A record is what the checks read of supervise's.
type record struct {
	Cause      string
	Error      *string
	Unenforced []struct{ Name, Reason string }
}

// readRecord returns the record, nil: there is none.
func (c *cell) readRecord() *record {
	var text []byte
	select {
	case text = <-c.record:
	case <-time.After(patience):
		return nil
	}
	r := &record{}
	if json.Unmarshal(text, r) != nil {
		return nil
	}
	return r
}

// expectNoSession waits until the session is removed: if supervise was killed, its guardian does that after the end of the job.
// What the job has made beside it is no part of it.
func (c *cell) expectNoSession() {
	c.t.Helper()
	testbed.Eventually(c.t, patience, "the end of all", func() error {
		sessions, _ := filepath.Glob(filepath.Join(c.dir, "jobs-*"))
		if left := processes(c.uid); len(left)+len(sessions) > 0 {
			return fmt.Errorf("left: %q, processes %q", sessions, left)
		}
		return nil
	})
}

// next runs another supervise in the same place, which is to end what one before has left.
func (c *cell) next() {
	cmd := c.command(filepath.Join(bin, "supervise"), "run", "--contain="+c.held, "--", "true")
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Logf("the next supervise: %v, %s", err, out)
	}
}

// killAll ends all processes of the cell's user, and returns when there is none.
func (c *cell) killAll() {
	if c.uid < firstUser {
		panic("this is another's user")
	}
	kill := func() error {
		left := processes(c.uid)
		if len(left) == 0 {
			return nil
		}
		cmd := exec.Command("sh", "-c", "kill -9 -1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}}
		cmd.Run()
		return fmt.Errorf("processes of user %d are left: %q", c.uid, left)
	}
	os.WriteFile(filepath.Join(c.dir, "cgroup.kill"), []byte("1"), 0) // root's supervise as well
	thaw(c.dir)
	testbed.Eventually(c.t, patience, "ending them", kill)
}

// thaw has what is frozen run, and makes all directories readable.
func thaw(dir string) {
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Join(dir, "cgroup.freeze"), 0o644)
	os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("0"), 0)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() && e.Name() != "d" {
			thaw(filepath.Join(dir, e.Name()))
		}
	}
}

// close ends what is left. What has to be gone was looked at before.
func (c *cell) close() {
	c.killAll()
	testbed.Eventually(c.t, patience, "removing the cgroups", func() error { return removeTree(c.dir) })
}

// removeTree removes a cgroup and all below it.
func removeTree(dir string) error {
	for _, below := range slices.Backward(testbed.Below(dir)) {
		os.Remove(below)
	}
	return os.Remove(dir)
}

// processes lists the processes of a user that are alive.
func processes(uid int) (left []string) {
	proc, err := os.Open("/proc")
	if err != nil {
		return []string{err.Error()}
	}
	defer proc.Close()
	pids, _ := proc.Readdirnames(-1)
	for _, pid := range pids {
		var st syscall.Stat_t // there may be thousands
		if syscall.Stat("/proc/"+pid, &st) != nil || int(st.Uid) != uid {
			continue
		}
		text, _ := os.ReadFile("/proc/" + pid + "/status")
		var name, state string
		mine := false
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			fields := strings.Fields(value)
			switch {
			case len(fields) == 0:
			case key == "Name":
				name = fields[0]
			case key == "State":
				state = fields[0]
			case key == "Uid":
				mine = fields[0] == fmt.Sprint(uid)
			}
		}
		if mine && state != "Z" && state != "X" {
			left = append(left, pid+" "+name+" "+state)
		}
	}
	return left
}
