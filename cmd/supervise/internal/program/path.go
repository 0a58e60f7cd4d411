package program

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// LookPath finds a program as execvp(3) does: a name with a slash is taken as it is, else
// PATH is searched. The error is ENOENT, or EACCES if something of that name was found
// but cannot be executed; the exit status is 127 or 126 by it. The standard library's
// LookPath refuses a result in the current directory, which shells and execvp(3) allow.
func LookPath(name string) (string, error) {
	path, ok := os.LookupEnv("PATH")
	if !ok {
		path = DefaultPath
	}
	return LookPathIn(name, path, "")
}

// DefaultPath is confstr(_CS_PATH), which execvp(3) searches if PATH is not set; a PATH
// that is set and empty is the current directory instead.
const DefaultPath = "/bin:/usr/bin"

// LookPathIn searches another PATH, for a process that begins in dir; "": in the current
// directory. A relative result is one as seen from dir, as the child executes it after
// its chdir.
func LookPathIn(name, path, dir string) (string, error) {
	if name == "" {
		return "", unix.ENOENT
	}
	if strings.Contains(name, "/") {
		err := executable(Below(dir, name))
		if err == errNotExecutable {
			err = unix.EACCES
		}
		return name, err
	}
	result := error(unix.ENOENT)
	for in := range strings.SplitSeq(path, ":") {
		// An empty element is the current directory (POSIX, "Environment Variables").
		if in == "" {
			in = "."
		}
		file := in + "/" + name
		err := executable(Below(dir, file))
		if err == nil {
			return file, nil
		}
		if err == errNotExecutable { // and not a directory that we may not search: shells pass over those
			result = unix.EACCES
		}
	}
	return "", result
}

// Below returns a path as seen from dir; "" is the current directory.
func Below(dir, path string) string {
	if dir == "" || strings.HasPrefix(path, "/") {
		return path
	}
	return dir + "/" + path
}

// errNotExecutable says that there is a file, but not one to execute.
var errNotExecutable = errors.New("not executable")

// executable checks for two reasons for which execve(2) refuses a file: it is no regular
// file, or the effective user (AT_EACCESS) may not execute it. A file that changes before
// execve is an error of that.
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
