package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/seed-c1490a04/supervise/protocol"
	"golang.org/x/sys/unix"
)

// ErrClosed is what fails after Close.
var ErrClosed = errors.New("supervise: the connection is closed")

// ErrLost is wrapped by what fails when the supervisor has died, or has spoken
// something else than the protocol. Its jobs end by themselves, perhaps a moment later.
var ErrLost = errors.New("supervise: the supervisor is gone")

// ErrDetached is what Wait returns for a job that was let go: its end is not told.
var ErrDetached = errors.New("supervise: the job was detached")

// ErrNotReady is what Ready returns for a job that has ended before it was ready.
var ErrNotReady = errors.New("supervise: the job has ended, and was not ready")

var errNoDescriptors = fmt.Errorf("supervise: sending descriptors over this connection: %w (ExtraFiles need it)", errors.ErrUnsupported)

// A CallError is why the supervisor has refused a request. It wraps the
// *protocol.Error, the errno if there is one, and what os and os/exec would say: a
// command that is not there is exec.ErrNotFound and fs.ErrNotExist, a job that has ended
// os.ErrProcessDone, what cannot be had here errors.ErrUnsupported.
type CallError struct {
	Method string
	Name   string // of the command, if it is about one that was to be started
	Err    *protocol.Error
}

func (e *CallError) Error() string {
	if e.Name != "" {
		return fmt.Sprintf("supervise: starting %s: %s", e.Name, e.Err.Message)
	}
	return fmt.Sprintf("supervise: %s: %s", e.Method, e.Err.Message)
}

// Unwrap makes errors.Is and errors.As work.
func (e *CallError) Unwrap() []error {
	errs := []error{e.Err}
	if data := e.Err.Data; data != nil {
		if n := errnoByName(data.Errno); n != 0 {
			errs = append(errs, n)
		}
	}
	switch e.Err.Code {
	case protocol.CodeNotFound:
		errs = append(errs, fs.ErrNotExist)
		if e.aboutProgram() {
			errs = append(errs, exec.ErrNotFound)
		}
	case protocol.CodeNotExecutable:
		errs = append(errs, fs.ErrPermission)
	case protocol.CodeNoJob:
		errs = append(errs, os.ErrProcessDone)
	case protocol.CodeUnsupported:
		errs = append(errs, errors.ErrUnsupported)
	}
	return errs
}

// aboutProgram: and not about the directory, or a file for standard input.
func (e *CallError) aboutProgram() bool {
	d := e.Err.Data
	return d == nil || d.Field == "" || d.Field == "path" || strings.HasPrefix(d.Field, "argv")
}

// brokenPipe says of the input of a job that has ended what it is when the job has closed it.
func brokenPipe(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%w: %w", syscall.EPIPE, err)
	}
	return err
}

// errnoByName is 0 for what is no name.
func errnoByName(name string) syscall.Errno {
	const last = 133 // EHWPOISON
	for n := syscall.Errno(1); name != "" && n <= last; n++ {
		if unix.ErrnoName(n) == name {
			return n
		}
	}
	return 0
}

// An ExitError says that a job has ended in another way than by the command exiting
// with status 0. It wraps the context's error if the context has ended the job.
type ExitError struct {
	Record *protocol.Record
	Stderr []byte // of Output, if Cmd.Stderr was nil: its first 64 KiB

	context error
}

func (e *ExitError) Error() string {
	r := e.Record
	parts := []string{exitText(r.Exit)}
	if r.Cause != protocol.CauseExited && r.Cause != protocol.CauseSignaled {
		parts[0] = fmt.Sprintf("%s (%s)", r.Cause, parts[0])
	}
	if n := r.LeftoversTotal; n != nil && *n > 0 && r.Cause == protocol.CauseExited {
		parts = append(parts, fmt.Sprintf("processes left: %d", *n))
	}
	if r.Error != nil {
		parts = append(parts, *r.Error)
	}
	return strings.Join(parts, "; ")
}

// Unwrap returns the context's error, or nil.
func (e *ExitError) Unwrap() error { return e.context }

// ExitCode is the command's, or -1 if it did not exit by itself.
func (e *ExitError) ExitCode() int { return exitCode(e.Record) }

func exitCode(r *protocol.Record) int {
	if r == nil || r.Exit == nil || r.Exit.Code == nil {
		return -1
	}
	return *r.Exit.Code
}

func exitText(e *protocol.Exit) string {
	switch {
	case e == nil:
		return "no exit status"
	case e.Signal != nil && e.Core:
		return "signal: " + *e.Signal + " (core dumped)"
	case e.Signal != nil:
		return "signal: " + *e.Signal
	case e.Code != nil:
		return fmt.Sprintf("exit status %d", *e.Code)
	}
	return "no exit status"
}
