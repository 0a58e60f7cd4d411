package main

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// lookPath finds a program as execvp(3) does: a name with a slash is taken as it
// is, else PATH is searched. The error is ENOENT, or EACCES if something of that
// name was found but cannot be executed.
func lookPath(name string) (string, error) {
	if name == "" {
		return "", unix.ENOENT
	}
	if strings.Contains(name, "/") {
		err := executable(name)
		if err == errNotExecutable {
			err = unix.EACCES
		}
		return name, err
	}
	path, ok := os.LookupEnv("PATH")
	if !ok {
		path = "/bin:/usr/bin" // confstr(_CS_PATH)
	}
	result := error(unix.ENOENT)
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		file := dir + "/" + name
		err := executable(file)
		if err == nil {
			return file, nil
		}
		if err == errNotExecutable { // and not a directory that we may not search: shells pass over those
			result = unix.EACCES
		}
	}
	return "", result
}

// errNotExecutable says that there is a file, but not one to execute.
var errNotExecutable = errors.New("not executable")

// executable checks what execve(2) would refuse.
func executable(file string) error {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS) != nil {
		return errNotExecutable
	}
	return nil
}
