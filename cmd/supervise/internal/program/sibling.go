package program

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Sibling is a running program that belongs to supervise and does what would weigh more
// than all the rest of supervise: supervise-scope speaks D-Bus to the service manager,
// supervise-oci knows the formats of container runtimes. It prints its answer on stdout,
// or one line of complaint on stderr. The caller reads either once, which closes both
// pipes.
type Sibling struct {
	name     string
	pid      int
	out, err int // read ends of its stdout and stderr, non-blocking
}

// FindSibling returns the absolute path of a program that belongs to supervise: beside
// it, in libexec, or in PATH. /proc/self/exe is the file itself, behind any symbolic link
// by which it was called.
func FindSibling(name string) (string, error) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil || !strings.HasPrefix(exe, "/") { // "(unreachable)", say, after a chroot
		exe = ""
	}
	return findSibling(name, exe, os.Geteuid())
}

// findSibling leaves PATH alone for root, whose PATH may be that of the caller of sudo,
// and in PATH what depends on the current directory.
func findSibling(name, exe string, euid int) (string, error) {
	dir := filepath.Dir(exe)
	libexec := filepath.Join(dir, "../libexec/supervise")
	if exe != "" {
		for _, p := range []string{filepath.Join(dir, name), filepath.Join(libexec, name)} {
			if unix.Access(p, unix.X_OK) == nil {
				return p, nil
			}
		}
	}
	if euid == 0 {
		return "", fmt.Errorf("%s is neither in %s nor in %s, and for root it is not looked for in PATH", name, dir, libexec)
	}
	path, ok := os.LookupEnv("PATH")
	if !ok {
		path = DefaultPath
	}
	for in := range strings.SplitSeq(path, ":") {
		if p := in + "/" + name; strings.HasPrefix(in, "/") && executable(p) == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is neither beside supervise nor in PATH", name)
}

// Ask starts a sibling with /dev/null as its input. The caller calls Output or All, and
// Reap unless the supervisor's loop waits for the process.
func Ask(name string, args ...string) (*Sibling, error) {
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		null = 0
	} else {
		defer unix.Close(null)
	}
	return AskAbout(null, name, args...)
}

// AskAbout is Ask with a descriptor as the sibling's standard input, which stays the
// caller's. GOMAXPROCS=1 saves the sibling threads. Pdeathsig ends it with the thread
// that starts it, so that it does not outlive supervise.
func AskAbout(stdin int, name string, args ...string) (*Sibling, error) {
	file, err := FindSibling(name)
	if err != nil {
		return nil, err
	}
	var out, errs [2]int
	if err := unix.Pipe2(out[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	// The writing ends must be closed here, or the end of the sibling would not be the
	// end of file.
	defer unix.Close(out[1])
	if err := unix.Pipe2(errs[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		unix.Close(out[0])
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(errs[1])
	s := &Sibling{name: name, out: out[0], err: errs[0]}
	s.pid, err = syscall.ForkExec(file, append([]string{name}, args...), &syscall.ProcAttr{
		Env: append(os.Environ(), "GOMAXPROCS=1"), Files: []uintptr{uintptr(stdin), uintptr(out[1]), uintptr(errs[1])},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}, // Ctrl-C is for the job, not for a helper
	})
	if err != nil {
		s.close()
		return nil, fmt.Errorf("running %s: %w", file, err)
	}
	return s, nil
}

// PID returns the sibling's process id.
func (s *Sibling) PID() int { return s.pid }

// close closes the pipes. A sibling that still writes gets SIGPIPE.
func (s *Sibling) close() {
	unix.Close(s.out)
	unix.Close(s.err)
}

// Wait returns when the sibling has printed something or has ended, or after limit: then
// the sibling is killed, as it is when one of the other descriptors can be read (a signal
// that ends supervise, say). The end of the sibling closes its stdout, which poll(2)
// reports.
func (s *Sibling) Wait(limit time.Duration, interrupts ...int) {
	fds := []unix.PollFd{{Fd: int32(s.out), Events: unix.POLLIN}}
	for _, fd := range interrupts {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	deadline := time.Now().Add(limit)
	for {
		// The millisecond more keeps the rounding from ending in a loop without a wait.
		n, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds()+1))
		if fds[0].Revents != 0 || err != nil && err != unix.EINTR {
			return
		}
		if n > 0 || time.Now().After(deadline) {
			// The pid is the sibling's: it has not been reaped yet.
			unix.Kill(s.pid, unix.SIGKILL)
			return
		}
	}
}

// Output returns the text that the sibling has printed, after Wait or after its end; the
// error is the sibling's complaint, if it printed nothing else. An answer is short and
// comes by one write, so one read takes it.
func (s *Sibling) Output() ([]byte, error) {
	defer s.close()
	if b := ReadPipe(s.out); len(b) > 0 {
		return b, nil
	}
	return nil, s.complaint()
}

// All waits for the sibling's end, at most for limit, and returns all that it printed,
// or its complaint. It reaps the sibling.
func (s *Sibling) All(limit time.Duration) (b []byte, err error) {
	defer s.close()
	for end := time.Now().Add(limit); ; {
		s.Wait(max(0, time.Until(end)))
		more := ReadPipe(s.out)
		if b = append(b, more...); len(more) == 0 {
			break
		}
	}
	defer Reap(s.pid) // unless complaint did
	if len(b) == 0 {
		return nil, s.complaint()
	}
	return b, nil
}

// complaint is the first line on stderr, without the name that the sibling puts before
// it, or else the way in which it ended.
func (s *Sibling) complaint() error {
	line, _, _ := strings.Cut(strings.TrimSpace(string(ReadPipe(s.err))), "\n")
	if line = strings.TrimPrefix(line, s.name+": "); line == "" {
		line = s.name + s.silentEnd()
	}
	return errors.New(line)
}

// silentEnd says how the sibling ended, which it did without a word. It reaps the
// sibling, if the loop has not done so.
func (s *Sibling) silentEnd() string {
	var status unix.WaitStatus
	_, err := unix.Wait4(s.pid, &status, 0, nil)
	for err == unix.EINTR {
		_, err = unix.Wait4(s.pid, &status, 0, nil)
	}
	switch {
	case err != nil:
		return " ended without a word"
	case status.Signaled():
		return fmt.Sprintf(" was ended by signal %d", status.Signal())
	}
	return fmt.Sprintf(" ended without a word, with status %d", status.ExitStatus())
}

// Reap waits for a child whose status does not matter; 0 is none. ECHILD, for one that
// was reaped already, is no error.
func Reap(pid int) {
	for pid > 0 {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// ReadPipe returns the bytes that are in a non-blocking pipe, at most 64 KiB, the
// capacity of a pipe (pipe(7)); none if it is empty or at its end.
func ReadPipe(fd int) []byte {
	b := make([]byte, 64<<10)
	n, _ := unix.Read(fd, b)
	return b[:max(n, 0)]
}
