package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

func cutLine(text []byte) (line, rest []byte, found bool) { return bytes.Cut(text, []byte("\n")) }

// A pipeline runs. Its state belongs to one goroutine.
type pipeline struct {
	p        *cli.Program
	plan     int // descriptor of the plan; the job's are below it
	statuses int
	pids     []int // by the index of the command; 0: it does not run
	exits    []*protocol.Exit
}

// Main runs the pipeline of the arguments that Argv has made. It returns the exit status, and
// dies of the signal of which the command has died that decides.
func Main(p *cli.Program, args []string) int {
	fd, err := -1, error(nil)
	if len(args) == 1 {
		fd, err = strconv.Atoi(args[0])
	}
	if fd < 3 || err != nil {
		return p.Usage(errors.New("pipeline: 'supervise serve' runs this; see \"pipeline\" in its protocol"))
	}
	unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) // it is a process of the job's
	l := &pipeline{p: p, plan: fd, statuses: fd + 1}
	commands, err := read(l.plan)
	if err == nil {
		err = l.run(commands)
	}
	if err != nil {
		p.Complain(fmt.Errorf("pipeline: %w", err))
		return cli.ExitFailure
	}
	exit := decisive(l.exits)
	if exit.Signal != nil {
		signals.DieOf(signals.Number(*exit.Signal))
	}
	return *exit.Code
}

// decisive is the exit of the last command that did not exit with 0, or that of the last one.
func decisive(exits []*protocol.Exit) *protocol.Exit {
	for _, e := range slices.Backward(exits) {
		if e.Signal != nil || *e.Code != 0 {
			return e
		}
	}
	return exits[len(exits)-1]
}

// run starts all commands and waits for them. The signals are caught first, so that none gets
// lost between.
func (l *pipeline) run(commands []Command) error {
	unix.CloseOnExec(l.plan)
	unix.CloseOnExec(l.statuses)
	caught, err := signals.Catch(signals.Forwarded)
	if err != nil {
		return err
	}
	l.pids, l.exits = make([]int, len(commands)), make([]*protocol.Exit, len(commands))
	if err := l.start(commands); err != nil {
		return err
	}
	for slices.Contains(l.exits, nil) {
		fds := []unix.PollFd{{Fd: int32(caught.FD()), Events: unix.POLLIN}, {Fd: int32(caught.ChildFD()), Events: unix.POLLIN}}
		unix.Poll(fds, -1)
		for _, s := range caught.Read() {
			l.signal(s)
		}
		caught.ReadChild()
		l.reap()
	}
	return nil
}

// start starts the commands from the first to the last, and keeps no end of a pipe.
func (l *pipeline) start(commands []Command) error {
	in := 0
	for i := range commands {
		ends := [2]int{-1, 1}
		if i < len(commands)-1 {
			if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
				return os.NewSyscallError("pipe2", err)
			}
		}
		l.startOne(i, &commands[i], in, ends[1])
		for _, fd := range []int{in, ends[1]} {
			if fd > 2 {
				unix.Close(fd)
			}
		}
		in = ends[0]
	}
	// The commands have them. A reader of the output must see its end when they have ended.
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open "+os.DevNull, err)
	}
	for fd := range l.plan {
		if fd != 2 { // for what this process may have to say
			unix.Dup3(null, fd, unix.O_CLOEXEC)
		}
	}
	return nil
}

// startOne starts a command. One that cannot be started ends as a shell would have it, with
// 127 or 126, and the others go on.
func (l *pipeline) startOne(i int, c *Command, in, out int) {
	files := []uintptr{uintptr(in), uintptr(out)}
	for fd := 2; fd < l.plan; fd++ {
		files = append(files, uintptr(fd))
	}
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Files: files}
	pid, err := signals.Start(syscall.ForkExec, c.Path, c.Argv, attr)
	if err == syscall.ENOEXEC { // as execvp(3)
		argv := append([]string{"sh", c.Path}, c.Argv[1:]...)
		pid, err = signals.Start(syscall.ForkExec, "/bin/sh", argv, attr)
	}
	if err == nil {
		l.pids[i] = pid
		l.tell(Status{Index: i, PID: pid})
		return
	}
	code, err := program.NotStarted(c.Argv[0], err)
	l.p.Complain(err)
	l.exits[i] = &protocol.Exit{Code: &code}
	l.tell(Status{Index: i, Exit: l.exits[i]})
}

// tell writes a status. The pipe has room for all of them, and its reader may be gone.
func (l *pipeline) tell(s Status) {
	line, err := json.Marshal(s)
	if err == nil {
		unix.Write(l.statuses, append(line, '\n'))
	}
}

// signal hands a signal on to all commands. It has reached them if the kernel has sent it, to
// the foreground process group of a terminal, or supervise, which signals the group or the
// whole job.
func (l *pipeline) signal(s signals.Signal) {
	if s.Kernel || s.From == os.Getppid() {
		return
	}
	for _, pid := range l.pids {
		if pid > 0 {
			unix.Kill(pid, s.Signal)
		}
	}
}

// reap takes the statuses of the commands that have ended.
func (l *pipeline) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if i := slices.Index(l.pids, pid); i >= 0 {
			l.pids[i], l.exits[i] = 0, exit(status)
			l.tell(Status{Index: i, Exit: l.exits[i]})
		}
	}
}

// exit is how a process has ended.
func exit(status unix.WaitStatus) *protocol.Exit {
	if status.Signaled() {
		return &protocol.Exit{Signal: new(signals.Name(status.Signal())), Core: status.CoreDump()}
	}
	return &protocol.Exit{Code: new(status.ExitStatus())}
}
