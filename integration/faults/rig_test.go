package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// limit is how long a run may take, all told.
const limit = 15 * time.Second

// patience is longer on a machine that has more than four processes to run for each processor, up to four times as long: a
// guardian looks through all of /proc, and each call of it waits for the notifier.
func patience(d time.Duration) time.Duration {
	text, _ := os.ReadFile("/proc/loadavg")
	load := 0.0
	fmt.Sscan(string(text), &load)
	return time.Duration(float64(d) * min(4, max(1, load/float64(4*runtime.NumCPU()))))
}

// A rig is what one run happens in.
type rig struct {
	s     *scenario
	fault *fault
	dir   string
	cmd   *exec.Cmd
	in    *os.File
	out   *os.File
	pids  []int // children from before
	n     *notifier

	shot    bool     // we have killed it
	refused bool     // serve has told of an error
	cut     bool     // serve has gone before we have
	said    []string // by serve
}

// An outcome is what became of a run.
type outcome struct {
	Verdict string
	Wrong   string // what must not be
	Status  int
	Stderr  string
	Site    []string // where the call that failed was made
	Stale   bool     // a directory was left, and the next supervise has removed it
	Seen    []*seen  // without a fault
	Took    time.Duration
}

// A bench runs one attempt after the other, in a cgroup and a directory of its own. Whatever outlives one becomes its child.
type bench struct {
	exe   string
	names *symbols
	mount string
	group string // "": there is no cgroup to be had
	dir   string
}

func newBench(bin string) (*bench, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, err
	}
	exe, err := filepath.EvalSymlinks(filepath.Join(bin, "supervise"))
	if err != nil {
		return nil, err
	}
	b := &bench{exe: exe}
	if b.names, err = readSymbols(exe); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "supervise-faults-"); err != nil {
		return nil, err
	}
	b.mount, _ = testbed.Mount()
	if ground, err := testbed.Ground(); err == nil {
		removeOld(ground)
		group := filepath.Join(ground, fmt.Sprintf("faults-%d", os.Getpid()))
		if os.Mkdir(group, 0o755) == nil {
			b.group = group
		}
	}
	return b, nil
}

// removeOld removes the empty cgroups of workers that were killed.
func removeOld(ground string) {
	old, _ := filepath.Glob(filepath.Join(ground, "faults-*"))
	for _, group := range old {
		_, pid, _ := strings.Cut(filepath.Base(group), "-")
		if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
			for _, dir := range slices.Backward(append([]string{group}, testbed.Below(group)...)) {
				os.Remove(dir)
			}
		}
	}
}

func (b *bench) close() error {
	err := os.RemoveAll(b.dir)
	if b.group == "" {
		return err
	}
	for _, dir := range b.cgroups() {
		err = errors.Join(err, os.Remove(dir))
	}
	return errors.Join(err, os.Remove(b.group))
}

// cgroups lists what is below the bench's, children first.
func (b *bench) cgroups() (dirs []string) {
	below := testbed.Below(b.group)
	for i := len(below) - 1; i >= 0; i-- {
		dirs = append(dirs, below[i])
	}
	return dirs
}

// try runs a scenario once, with a fault or, if that is nil, without.
func (b *bench) try(s *scenario, f *fault) (o outcome) {
	began := time.Now()
	defer func() { o.Took = time.Since(began) }()
	r := &rig{s: s, fault: f, dir: filepath.Join(b.dir, "run")}
	fail := func(err error) outcome { return outcome{Verdict: faulty, Wrong: "the test itself: " + err.Error()} }
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		return fail(err)
	}
	defer os.RemoveAll(r.dir)
	served, err := b.start(r)
	if err != nil {
		b.killAll()
		return fail(err)
	}
	var wrong []error
	hung := make(chan error, 1)
	timer := time.AfterFunc(patience(limit), func() {
		err := fmt.Errorf("hangs: %s", describe(descendants(os.Getpid())))
		b.killAll()
		hung <- err
	})
	driven := error(nil)
	if s.drive != nil {
		driven = s.drive(r)
	}
	r.cmd.Wait()
	r.in.Close()
	r.out.Close()
	if err := b.settle(); err != nil {
		wrong = append(wrong, err)
		b.killAll()
	}
	if !timer.Stop() {
		wrong = append(wrong, <-hung)
	}
	if err := <-served; err != nil {
		wrong = append(wrong, err)
	}
	stale, err := b.clean()
	wrong = append(wrong, err, driven)
	text, _ := os.ReadFile(filepath.Join(r.dir, "stderr"))
	o = outcome{Stderr: string(text), Site: r.n.hit, Stale: stale, Status: status(r.cmd.ProcessState)}
	var verdict error
	o.Verdict, verdict = r.judge(o.Status, o.Stderr)
	if files := r.files(); len(files) > 0 && !r.shot {
		wrong = append(wrong, fmt.Errorf("files left: %q", files))
	}
	if err := errors.Join(append(wrong, verdict)...); err != nil {
		o.Verdict, o.Wrong = faulty, err.Error()
		if s.name[:5] == "serve" {
			o.Wrong += "\n" + strings.Join(r.said[max(0, len(r.said)-4):], "")
		}
	}
	switch {
	case f == nil:
		o.Seen = r.n.order
	case o.Site == nil && o.Wrong == "":
		o.Verdict = missed
	}
	return o
}

func status(s *os.ProcessState) int {
	w := s.Sys().(syscall.WaitStatus)
	if w.Signaled() {
		return -int(w.Signal())
	}
	return w.ExitStatus()
}

// start starts the launcher and the notifier. What the latter says is sent when the last process has ended.
func (b *bench) start(r *rig) (served chan error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	spec := launchSpec{Argv: r.s.argv(b.exe, r.record()), Children: r.s.children, NoEnv: r.s.noFlag}
	if r.fault != nil {
		spec.Calls = []uintptr{r.fault.Call.Nr}
	}
	if r.s.noFlag && !r.s.cgroup {
		spec.ReadOnly = b.mount
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	stdin, in, err1 := os.Pipe()
	out, stdout, err2 := os.Pipe()
	stderr, err3 := os.Create(filepath.Join(r.dir, "stderr"))
	pair, err4 := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "listener")
	defer func() { stdin.Close(); stdout.Close(); stderr.Close(); theirs.Close(); unix.Close(pair[0]) }()
	r.in, r.out = in, out
	r.cmd = exec.Command(self)
	r.cmd.Env = append(os.Environ(), launcher+"="+string(text), "GODEBUG=asyncpreemptoff=1")
	r.cmd.Dir, r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr, r.cmd.ExtraFiles = r.dir, stdin, stdout, stderr, []*os.File{theirs}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if b.group != "" {
		fd, err := unix.Open(b.group, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		r.cmd.SysProcAttr.UseCgroupFD, r.cmd.SysProcAttr.CgroupFD = true, fd
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	theirs.Close()
	fd, err := receive(pair[0])
	if err != nil {
		text, _ := os.ReadFile(filepath.Join(r.dir, "stderr"))
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	r.n = newNotifier(fd, r.cmd.Process.Pid, b.exe, b.names, r.fault)
	served = make(chan error, 1)
	go func() { served <- r.n.serve() }() // ends with the last process under the filter
	stdin.Close()
	stdout.Close()
	return served, r.readPids()
}

// clean removes the cgroups that a run has left. Those of a session must go by a plain run of supervise.
func (b *bench) clean() (stale bool, err error) {
	if b.group == "" {
		return false, nil
	}
	left := func() (sessions []string) {
		for _, dir := range b.cgroups() {
			if rel, _ := filepath.Rel(b.group, dir); rel != "supervisor" {
				sessions = append(sessions, rel)
			}
		}
		return sessions
	}
	if stale = len(left()) > 0; stale {
		cmd := exec.Command(b.exe, "run", "--contain=cgroup", "--", "true")
		fd, err := unix.Open(b.group, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return stale, err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
		text, err := cmd.CombinedOutput()
		unix.Close(fd)
		if err == nil {
			err = b.settle()
		}
		if err != nil {
			return stale, fmt.Errorf("the supervise after it: %w: %s", err, text)
		}
	}
	if dirs := left(); len(dirs) > 0 {
		err = fmt.Errorf("cgroups left for ever: %q", dirs)
	}
	for _, dir := range b.cgroups() {
		os.Remove(dir)
	}
	return stale, err
}
