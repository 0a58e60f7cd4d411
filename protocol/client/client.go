// Package client runs commands under supervise as os/exec runs them without: nothing
// that a command starts can outlive it.
//
//	cmd := client.CommandContext(ctx, "make", "-j8")
//	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
//	cmd.Timeout = time.Hour
//	err := cmd.Run() // no compiler is left, however it ends
//
// Such a command has a supervisor of its own, one process more. A program with many
// jobs starts one supervisor for all of them:
//
//	conn, err := client.Start(ctx, client.Options{})
//	defer conn.Close() // ends all jobs
//	cmd := conn.Command("make", "-j8")
//
// The supervisor's only link to its owner is a socket, of which this process alone
// holds the other end: when the process ends, for whatever reason, all jobs end.
// ../SERVE.md has what is said on it.
//
// # The terminal
//
// A job leads a session of its own and has no terminal, unless Cmd.Pty gives it one: it
// cannot open /dev/tty, and Ctrl-C does not reach it. What would ask for a password there
// has to be told another way: ssh with -o BatchMode=yes, or SSH_ASKPASS=PROGRAM and
// SSH_ASKPASS_REQUIRE=force in its environment; sudo with -n, -S (from standard input), or
// -A and SUDO_ASKPASS=PROGRAM; gpg with --batch --pinentry-mode loopback --passphrase-fd N,
// or GPG_TTY naming a terminal for its pinentry. What needs our own terminal is run by
// "supervise run".
//
// # Ctrl-C
//
// Nor does Ctrl-C reach the supervisor: it ends this program, and with it all jobs at
// once. A program that wants them to save catches it, and sends them what a terminal would
// have sent; with stop a second Ctrl-C is the end:
//
//	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
//	defer stop()
//	cmd := client.CommandContext(ctx, "./train.py")
//	cmd.StopSignal = os.Interrupt
//	cmd.Cancel = func() error { stop(); return cmd.Stop(10 * time.Second) }
//
// # Goroutines
//
// A connection has three: the loop, which owns all that is known of calls and jobs, a
// reader and a writer, which only block and send; and a fourth that waits for a
// supervisor which this process has started. They end with the connection, and Close
// waits for them. A job has none, but one for each Stdin, Stdout or Stderr that is
// neither an *os.File nor a *Capture or *Kept: it copies to or from a pipe, and Cmd.Wait
// waits for it. So 10,000 jobs cost no goroutine, unless they are to be copied for.
//
// # Flow
//
// The client holds no more unread notifications than Options.Events says, and none
// without it: see Conn.Events for what happens when the program does not read them.
//
// # Where output goes
//
//	Cmd.Stdout   is for
//	*os.File     a log, a terminal: the job writes to it, and we see nothing
//	*Capture     a little output of many jobs
//	*Kept        output that is looked at now and then, also after the end
//	StdoutPipe   a reader: the job waits for it, and no other does
//	any Writer   the same, and we copy
//
// All of this works over a connection without descriptors, too, such as one through ssh.
//
// # Older supervisors
//
// Conn.Has tells what one offers. Start, and every method, refuses what it does not, with an
// error that is errors.ErrUnsupported.
//
// # Tests
//
// Package clienttest has a supervisor that runs functions in place of commands. The examples
// are programs that people write first.
package client

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// Options say how a connection is to be. The zero value will do.
type Options struct {
	// Path is the program; if empty it is what SUPERVISE_BIN names, and else the
	// supervise that is found in PATH.
	Path string
	Args []string // flags of "supervise serve"
	Env  []string // of the supervisor, and of jobs that have none of their own; nil: ours
	Dir  string   // where the supervisor runs; empty: where we do

	// Stderr gets the supervisor's complaints. If nil they become part of the error
	// when it dies.
	Stderr *os.File

	// Events is how many notifications Conn.Events holds; 0: there are none.
	Events int
	// Patience is how long unread events may hold up a Wait; 10 s if 0. See Conn.Events.
	Patience time.Duration
}

// Start starts a supervisor and connects to it. The context is for that alone: when it
// is done later, nothing happens.
func Start(ctx context.Context, o Options) (*Conn, error) {
	p, sock, err := startProcess(o)
	if err != nil {
		return nil, err
	}
	return open(ctx, sock, p, o)
}

// Dial connects to a supervisor that listens, such as systemd's supervise.socket of
// contrib/systemd. Of the options Events and Patience count.
func Dial(ctx context.Context, network, address string, o Options) (*Conn, error) {
	var d net.Dialer
	sock, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return open(ctx, sock, nil, o)
}

// NewConn talks to the supervisor at the other end of a connection, which it owns from
// now on. Descriptors, and so the Stdin, Stdout and Stderr of commands, need a
// *net.UnixConn.
func NewConn(ctx context.Context, sock net.Conn, o Options) (*Conn, error) {
	return open(ctx, sock, nil, o)
}

// NewFileConn is NewConn for a file that is a socket. It closes the file.
func NewFileConn(ctx context.Context, f *os.File, o Options) (*Conn, error) {
	sock, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, err
	}
	return open(ctx, sock, nil, o)
}

// open says hello. It owns the socket and the process.
func open(ctx context.Context, sock net.Conn, p *process, o Options) (*Conn, error) {
	c := newConn(sock, p, o)
	params := protocol.HelloParams{Versions: []int{protocol.ServeVersion}}
	err := c.Call(ctx, protocol.MethodHello, params, &c.hello)
	if err == nil && c.hello.Version != protocol.ServeVersion {
		err = fmt.Errorf("supervise: it speaks version %d of the protocol", c.hello.Version)
	}
	if err != nil {
		c.abort()
		return nil, err
	}
	return c, nil
}
