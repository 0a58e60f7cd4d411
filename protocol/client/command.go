package client

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Cmd is a command to be run as a job: itself, and everything it starts. It is made by
// Command, and runs once. Its fields are not changed after Start.
//
// The methods may be called by several goroutines, once Start has returned.
type Cmd struct {
	// Path is the program. If it is Args[0], which it is unless changed, and has no
	// slash, the supervisor looks for it in the PATH that the job gets.
	Path string
	Args []string // with the name of the program first
	Env  []string // "key=value"; of the same key the last counts. nil: the supervisor's; empty: none
	Dir  string   // if empty the supervisor's

	// As in os/exec. nil is /dev/null; an *os.File becomes the job's; a *Capture is filled
	// by the supervisor, and a *Kept is kept there; anything else is copied by a goroutine that
	// Wait waits for. If Stdout and Stderr are equal, both are written to by one goroutine at a
	// time.
	//
	// Where descriptors cannot be passed (Conn.Has("fds")), an *os.File is copied as well, and
	// all of it goes over the connection: a job waits for a reader or writer that is slow, and
	// the other jobs do not.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	ExtraFiles     []*os.File // the job's descriptors 3 and up; nil is /dev/null

	// Pty gives the job a terminal of its own: see there.
	Pty *Pty

	// PipeTo are the commands that the output is piped through, each into the next. All are
	// one job, with one record; Stdin is that of the first, Stdout that of the last, Stderr
	// and all the rest is that of all. It has succeeded if all have: the exit status is that
	// of the last that has not, and Ended has that of each. Of a command here Path, Args, Env
	// and Dir count; without Env, or Dir, it has this one's.
	PipeTo []*Cmd

	// Cancel is called when the context of CommandContext is done; if it is nil, Kill is.
	// For a grace period: cmd.Cancel = func() error { return cmd.Stop(5 * time.Second) }
	// See "Ctrl-C" above for one that begins with SIGINT.
	Cancel func() error
	// WaitDelay is how long Wait goes on to copy after the job has ended: a Reader may
	// block for ever. 0 is without end, as in os/exec, and 10 s if the connection was lost.
	WaitDelay time.Duration

	Name string            // for people; the program's if empty
	Tags map[string]string // the owner's own; come back in List and in protocol.JobEnded

	// Limits have the names of the flags of supervise run, or systemd's: "memory-max":
	// "1G", "TasksMax": "200". What cannot be had is an error of Start, unless
	// BestEffort.
	Limits     map[string]string
	BestEffort bool
	Delegate   bool // the job gets the controllers for cgroups of its own

	// Timeout is followed by StopSignal, Grace and the end. 0 is none; a negative one, such as
	// time.Until of a moment in the past, is over when the job has started.
	Timeout    time.Duration
	CPUTimeout time.Duration // the same for processor time of all processes
	Grace      time.Duration // 10 s if 0, none if negative
	StopSignal os.Signal     // SIGTERM if nil
	Leftovers  protocol.Leftovers

	// More to hear of in Conn.Events.
	Notify   []string // protocol.NotifyOOM and the others
	Pressure []protocol.PressureTrigger
	Sample   time.Duration // between samples; 0: none

	// Supervisor is for a command without a connection, which starts its own.
	Supervisor Options

	begun bool
	ctx   context.Context // nil: none
	conn  *Conn
	own   bool // conn is ours alone
	job   *job
	stdio stdio

	stopWatch func() bool   // the context is not watched any more
	watched   chan struct{} // closed when Cancel has returned
	cancelErr error         // the context's, or Cancel's, once watched is closed

	waitOnce sync.Once
	waitErr  error
}

// Command returns a command that will have a supervisor of its own.
func Command(name string, arg ...string) *Cmd {
	return &Cmd{Path: name, Args: append([]string{name}, arg...)}
}

// CommandContext is Command with a context. When it is done, by its deadline too, all of the
// job is ended: at once, unless Cancel does it. If it is done before Start, or while Start
// waits for the answer, Start returns its error, and nothing goes on to run.
func CommandContext(ctx context.Context, name string, arg ...string) *Cmd {
	if ctx == nil {
		panic("nil Context")
	}
	c := Command(name, arg...)
	c.ctx = ctx
	return c
}

// Command returns a command that will be run by this connection's supervisor.
func (c *Conn) Command(name string, arg ...string) *Cmd {
	cmd := Command(name, arg...)
	cmd.conn = c
	return cmd
}

// CommandContext is Command with a context. When it is done, all of the job is ended.
func (c *Conn) CommandContext(ctx context.Context, name string, arg ...string) *Cmd {
	cmd := CommandContext(ctx, name, arg...)
	cmd.conn = c
	return cmd
}

// String returns the command, for people.
func (c *Cmd) String() string { return strings.Join(c.Args, " ") }

// Job is the number of the job, 0 before Start. Events name it.
func (c *Cmd) Job() int { return c.spawned().Job }

// Pid is that of the main process, 0 before Start.
func (c *Cmd) Pid() int { return c.spawned().PID }

// Spawned is what the supervisor told of the job when it started: its cgroup, and the
// limits that are enforced.
func (c *Cmd) Spawned() protocol.SpawnResult { return c.spawned() }

func (c *Cmd) spawned() protocol.SpawnResult {
	if c.job == nil {
		return protocol.SpawnResult{}
	}
	return c.job.spawned
}

// Record is the final word about the job, nil before it has ended.
func (c *Cmd) Record() *protocol.Record {
	if e := c.Ended(); e != nil {
		return e.Record
	}
	return nil
}

// Ended is Record with what came beside it, nil before the job has ended.
func (c *Cmd) Ended() *protocol.JobEnded {
	if c.job == nil {
		return nil
	}
	select {
	case <-c.job.ended:
		return c.job.last
	default:
		return nil
	}
}

// ExitCode is the command's, or -1 if it has not exited by itself.
func (c *Cmd) ExitCode() int { return exitCode(c.Record()) }

func (c *Cmd) context() context.Context {
	if c.ctx == nil {
		return context.Background()
	}
	return c.ctx
}
