package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A proc is a process that a test started in its box.
type proc struct {
	box    *box
	argv   []string
	cmd    *exec.Cmd
	record string

	stdin  *os.File // write end; nil if the launch brought its own
	stdout *output  // nil likewise
	stderr *output

	// leak is the read end of a pipe that the process and all its descendants hold as descriptor 3: at EOF all are gone.
	leak  int
	start time.Time
	done  chan struct{} // closed when the process has been waited for
	ended time.Time

	// killed: the test shot it with SIGKILL, so its descendants may outlive it by a moment.
	killed atomic.Bool
	timer  *time.Timer
}

// start launches a process in the box. It has a deadline, after which everything in the box is killed.
func (b *box) start(l launch) *proc {
	b.t.Helper()
	p := &proc{box: b, argv: l.argv, record: l.record, done: make(chan struct{}), leak: -1}
	p.cmd = exec.Command(l.argv[0], l.argv[1:]...)
	p.cmd.Env = append(os.Environ(), l.env...)
	p.cmd.Dir = l.dir
	p.cmd.SysProcAttr = &l.attr
	theirs, err := p.wire(l)
	defer closeAll(theirs)
	if err == nil {
		err = b.place(p.cmd, l.outside)
	}
	p.start = time.Now()
	if err == nil {
		err = p.cmd.Start()
	}
	if p.cmd.SysProcAttr.UseCgroupFD {
		unix.Close(p.cmd.SysProcAttr.CgroupFD)
	}
	if err != nil {
		p.release()
		b.t.Fatalf("starting %q: %v", l.argv, err)
	}
	b.watch(p, l.deadline)
	return p
}

// place has the process born in the box's cgroup.
func (b *box) place(cmd *exec.Cmd, outside bool) error {
	if b.group == nil || outside {
		return nil
	}
	fd, err := unix.Open(b.group.path, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", b.group.path, err)
	}
	cmd.SysProcAttr.UseCgroupFD = true
	cmd.SysProcAttr.CgroupFD = fd
	return nil
}

// wire makes the pipes, and returns the child's ends, to be closed here once it has started.
func (p *proc) wire(l launch) (theirs []*os.File, err error) {
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	stdin, stdout, stderr := l.stdin, l.stdout, l.stderr
	if stdin == nil {
		stdin, p.stdin = pipe()
		theirs = append(theirs, stdin)
	}
	if stdout == nil {
		var r *os.File
		r, stdout = pipe()
		p.stdout = collect(r)
		theirs = append(theirs, stdout)
	}
	if stderr == nil {
		var r *os.File
		r, stderr = pipe()
		p.stderr = collect(r)
		theirs = append(theirs, stderr)
	}
	var fds [2]int
	if err == nil {
		err = unix.Pipe2(fds[:], unix.O_CLOEXEC)
	}
	if err != nil {
		return theirs, err
	}
	p.leak = fds[0]
	leakW := os.NewFile(uintptr(fds[1]), "leak")
	theirs = append(theirs, leakW)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, stderr
	p.cmd.ExtraFiles = append([]*os.File{leakW}, l.extra...)
	return theirs, nil
}

// watch waits for the process, and kills the box at the deadline. Both end with the process.
func (b *box) watch(p *proc, deadline time.Duration) {
	if deadline == 0 {
		deadline = startDeadline
	}
	b.mu.Lock()
	b.procs = append(b.procs, p)
	b.mu.Unlock()
	b.timers.Add(1)
	p.timer = time.AfterFunc(deadline, func() {
		defer b.timers.Done()
		b.t.Errorf("%q ran for more than %v: killed. Processes: %s", p.argv, deadline, describe(firstDescendants(20)))
		p.killed.Store(true)
		b.abort()
	})
	go func() { // ends with the process, at the deadline at the latest
		p.cmd.Wait()
		p.ended = time.Now()
		if p.timer.Stop() {
			b.timers.Done()
		}
		close(p.done)
	}()
}

func (p *proc) pid() int { return p.cmd.Process.Pid }

func (p *proc) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends a signal to the process that was started, which was not waited for yet or is not there any more.
func (p *proc) signal(sig syscall.Signal) {
	if sig == syscall.SIGKILL {
		p.killed.Store(true)
	}
	p.cmd.Process.Signal(sig)
}

// closeStdin is the event that adversaries end at.
func (p *proc) closeStdin() {
	if p.stdin != nil {
		p.stdin.Close()
		p.stdin = nil
	}
}

// expect waits for a line on stdout. The deadline of the process bounds it, as that ends stdout.
func (p *proc) expect(line string) {
	p.box.t.Helper()
	if !p.stdout.waitFor(line) {
		p.box.t.Fatalf("%q: stdout ended without the line %q; stdout: %q, stderr: %q",
			p.argv, line, p.stdout.String(), p.stderr.String())
	}
}

// printedPid is the number in the line "who PID" that the job writes to stdout, which it waits for.
func (p *proc) printedPid(who string) (pid int) {
	p.box.t.Helper()
	found := p.stdout.waitUntil(func(text string) bool {
		for line := range strings.Lines(text) {
			number, ok := strings.CutPrefix(line, who+" ")
			if digits, whole := strings.CutSuffix(number, "\n"); ok && whole {
				var err error
				pid, err = strconv.Atoi(digits)
				return err == nil
			}
		}
		return false
	})
	if !found {
		p.box.t.Fatalf("no line \"%s PID\" on stdout: %q", who, p.stdout.String())
	}
	return pid
}

// release frees the descriptors of the test's side.
func (p *proc) release() {
	p.closeStdin()
	for _, o := range []*output{p.stdout, p.stderr} {
		if o != nil {
			o.close()
		}
	}
	if p.leak >= 0 {
		unix.Close(p.leak)
		p.leak = -1
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
