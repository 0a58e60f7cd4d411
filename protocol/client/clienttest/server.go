// Package clienttest has a supervisor for tests of programs that use package client. It
// starts no process: functions stand in for the commands, and it answers as SERVE.md says.
//
//	srv := clienttest.NewServer()
//	srv.Handle("make", clienttest.Script{Stdout: "cc a.c\n", Exit: 2}.Run)
//	conn, err := srv.Connect(ctx, client.Options{})
//	err = build(conn) // the program under test
//
// A function blocks for as long as its command is to run: on a channel of the test's, for
// what is to happen by hand, or until the job is killed. Nothing waits for a clock but
// timeouts and grace periods, so that all of it works in a bubble of testing/synctest.
//
// It is held to the conformance script of the protocol, but for what needs files, processes
// below the main one or the values of limits: limits are told as they were asked for, and
// nothing enforces them. A connection to it carries no descriptors.
package clienttest

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"github.com/seed-c1490a04/supervise/protocol/client"
)

// A Server runs functions in place of commands. Its fields are not changed once it serves.
type Server struct {
	// Containment is protocol.ContainmentCgroup if empty. With the other freeze, limits and so
	// on are refused, as there.
	Containment protocol.Containment
	// Features are those that hello lists; nil: all that there are. It changes no more than
	// what is said.
	Features []string

	mu       sync.Mutex
	programs map[string]Program
	lines    []commandLine
	serving  sync.WaitGroup
}

type commandLine struct {
	argv    []string
	program Program
}

// A Program stands in for a command. It returns when the command is to exit; what the job's
// end by a signal does to it is in Process.Done.
type Program func(p *Process) Exit

// An Exit is an exit status, or, negative, the signal that ends the command: see Signaled.
type Exit int

// NewServer returns a server that knows no command: each is -32005 then, exec.ErrNotFound.
func NewServer() *Server { return &Server{programs: map[string]Program{}} }

// Handle has a program stand in for the commands of a name, which is argv[0], or path.
func (s *Server) Handle(name string, p Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.programs[name] = p
}

// HandleCommand has a program stand in for one command line, in preference to Handle.
func (s *Server) HandleCommand(p Program, argv ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, commandLine{argv, p})
}

// program finds what stands in for a command; nil: nothing does.
func (s *Server) program(path string, argv []string) Program {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if slices.Equal(l.argv, argv) {
			return l.program
		}
	}
	if path != "" {
		return s.programs[path]
	}
	return s.programs[argv[0]]
}

// Connect connects a client. Its Close ends the conversation; Wait waits for that.
func (s *Server) Connect(ctx context.Context, o client.Options) (*client.Conn, error) {
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	s.serving.Go(func() { s.Serve(&pipe{r: fromClient, w: toClient}) }) // ends with the connection
	return client.NewConn(ctx, &pipe{r: fromServer, w: toServer}, o)
}

// Wait waits until all connections and all programs have ended.
func (s *Server) Wait() { s.serving.Wait() }

// A pipe is a side of a connection in memory.
type pipe struct {
	r *io.PipeReader
	w *io.PipeWriter
}

func (p *pipe) Read(b []byte) (int, error)  { return p.r.Read(b) }
func (p *pipe) Write(b []byte) (int, error) { return p.w.Write(b) }

// CloseWrite is the end of input for the other side.
func (p *pipe) CloseWrite() error { return p.w.Close() }

func (p *pipe) Close() error {
	p.w.Close()
	return p.r.Close()
}

func (p *pipe) LocalAddr() net.Addr              { return address{} }
func (p *pipe) RemoteAddr() net.Addr             { return address{} }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "clienttest" }
func (address) String() string  { return "clienttest" }
