// Package program finds programs and executes those that belong to supervise.
package program

import (
	"syscall"
)

// IsNotFound says whether an error means that a program, or its interpreter, is missing.
// The errors of finding and of executing a program are bare errnos; all others are
// wrapped, so that a missing file of another kind is not taken for a missing command.
func IsNotFound(err error) bool { return err == syscall.ENOENT || err == syscall.ENOTDIR }

// IsShortage says whether a program could not be started for want of processes, memory or
// descriptors, which tells nothing of the program.
func IsShortage(err error) bool {
	switch err {
	case syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE:
		return true
	}
	return false
}

// IsErrno says whether an error is a bare errno, as execve(2) returns it.
func IsErrno(err error) bool {
	_, ok := err.(syscall.Errno)
	return ok
}
