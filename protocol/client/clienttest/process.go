package clienttest

import (
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Process is a command that a Program stands in for. Its methods may be called by several
// goroutines.
type Process struct {
	Argv []string
	Env  []string // what the owner has given; the server has no environment of its own
	Dir  string   // "" if the owner has given none
	PID  int      // of no real process

	// What the owner writes, and what it is told. Of a terminal all three are that. Reads wait
	// for the owner; after the end of the job they are io.EOF, and writes EPIPE.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	job     *job
	program Program
	closers []io.Closer // pipes to other commands

	ended   chan struct{}
	exit    *Exit // nil: it runs
	catches []catch
}

// A catch is what becomes of a signal that the program has asked for.
type catch struct {
	signals []os.Signal
	to      chan<- os.Signal // nil: nothing
}

// Done is closed when the process has ended, by a signal for which Notify was not called, or
// with its job: the program is to return, and what it returns does not matter any more.
func (p *Process) Done() <-chan struct{} { return p.ended }

// WaitFor waits for an event of the test's, and is false if the process has ended before.
func (p *Process) WaitFor(event <-chan struct{}) bool {
	select {
	case <-event:
		return true
	case <-p.ended:
		return false
	}
}

// Notify is signal.Notify: these signals do not end the process. SIGKILL and SIGSTOP cannot be
// caught.
func (p *Process) Notify(signals ...os.Signal) <-chan os.Signal {
	to := make(chan os.Signal, 16)
	p.catch(catch{signals, to})
	return to
}

// Ignore is signal.Ignore.
func (p *Process) Ignore(signals ...os.Signal) { p.catch(catch{signals, nil}) }

func (p *Process) catch(c catch) {
	p.job.c.mu.Lock()
	defer p.job.c.mu.Unlock()
	p.catches = append(p.catches, c)
}

// Descriptor is one from 3 on, or any other.
func (p *Process) Descriptor(fd int) io.ReadWriter {
	p.job.c.mu.Lock()
	defer p.job.c.mu.Unlock()
	return p.job.fd(fd)
}

// Ready says READY=1, as sd_notify(3) does, to an owner that wants to hear it.
func (p *Process) Ready(status string) {
	j := p.job
	j.c.mu.Lock()
	defer j.c.mu.Unlock()
	if slices.Contains(j.SpawnParams.Notify, protocol.NotifyReady) && !j.ready && !j.over {
		j.ready = true
		j.c.notify(protocol.NoteReady, protocol.JobReady{Job: j.number, PID: p.PID, Status: status, Time: now()})
	}
}

// Size is that of the terminal; 0 and 0: the job has none. SIGWINCH tells of a change.
func (p *Process) Size() (rows, cols uint16) {
	p.job.c.mu.Lock()
	defer p.job.c.mu.Unlock()
	return p.job.rows, p.job.cols
}

// run runs the program.
func (p *Process) run() {
	exit := p.program(p)
	p.job.c.mu.Lock()
	defer p.job.c.mu.Unlock()
	p.finish(exit)
}

// finish ends the process, once.
func (p *Process) finish(exit Exit) {
	if p.exit != nil {
		return
	}
	p.exit = &exit
	close(p.ended)
	for _, c := range p.closers {
		c.Close()
	}
	p.job.end()
}

// signal does what the kernel would.
func (p *Process) signal(sig syscall.Signal) {
	j := p.job
	switch {
	case p.exit != nil:
	case sig == syscall.SIGSTOP:
		if !j.stopped {
			j.stopped = true
			j.c.notify(protocol.NoteStopped, protocol.JobStopped{Job: j.number, PID: p.PID, Signal: "SIGSTOP", Time: now()})
		}
	case sig == syscall.SIGCONT:
		if j.stopped {
			j.stopped = false
			j.c.notify(protocol.NoteContinued, protocol.JobContinued{Job: j.number, PID: p.PID, Time: now()})
		}
	case sig != syscall.SIGKILL && p.deliver(sig), sig == syscall.SIGCHLD, sig == syscall.SIGURG, sig == syscall.SIGWINCH:
	default:
		p.finish(Signaled(sig))
	}
}

// deliver gives a signal to the program, if it catches it.
func (p *Process) deliver(sig syscall.Signal) (caught bool) {
	for _, c := range p.catches {
		if !slices.Contains(c.signals, os.Signal(sig)) {
			continue
		}
		caught = true
		select {
		case c.to <- sig:
		default: // as signal.Notify does
		}
	}
	return caught
}

// A Script is a program that does what it says: Run is the Program.
type Script struct {
	Stdout, Stderr string
	// Until is what it waits for, when it has written that; nil: nothing. It is for the test to
	// close.
	Until <-chan struct{}
	Then  string // to its standard output, after that
	Exit  Exit
}

// Run is the Program.
func (s Script) Run(p *Process) Exit {
	io.WriteString(p.Stdout, s.Stdout)
	io.WriteString(p.Stderr, s.Stderr)
	if s.Until != nil && !p.WaitFor(s.Until) {
		return 0 // it does not matter
	}
	io.WriteString(p.Stdout, s.Then)
	return s.Exit
}

// Sleep is a Program that runs until it is ended.
func Sleep(p *Process) Exit {
	<-p.Done()
	return 0
}
