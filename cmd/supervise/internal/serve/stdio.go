package serve

import (
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/protocol"
)

// maxStdio is a number of descriptors.
const maxStdio = 1024

// open opens all that the job is to have. On an error the plan closes it.
func (p *plan) open(r *request, stdio []protocol.Stdio) error {
	if err := p.connect(r, stdio); err != nil {
		return err
	}
	if slices.Contains(p.Notify, protocol.NotifyReady) {
		if err := p.makeReadiness(); err != nil {
			return err
		}
	}
	if len(p.Pipeline) > 0 {
		return p.makePipeline()
	}
	return nil
}

// connect opens the job's descriptors, in the order of their numbers, as dup names a
// lower one. On an error the plan closes those that are open.
func (p *plan) connect(r *request, stdio []protocol.Stdio) error {
	if len(stdio) > maxStdio {
		return failure(protocol.CodeInvalidParams, "stdio", "stdio: at most %d descriptors", maxStdio)
	}
	for i := range max(3, len(stdio)) {
		var s protocol.Stdio
		if i < len(stdio) {
			s = stdio[i]
		}
		fd, err := p.openOne(r, i, &s)
		if err != nil {
			return stdioError(i, err)
		}
		p.files = append(p.files, uintptr(fd))
	}
	if p.terminal != nil && !p.terminal.given && len(stdio) > 1 && stdio[1].Capture != nil {
		return stdioError(1, failure(protocol.CodeInvalidParams, "", "what the terminal prints is told as descriptor 1, which cannot be captured beside it"))
	}
	return nil
}

// stdioError names the descriptor that could not be opened; a file that is not there is
// -32005.
func stdioError(i int, err error) error {
	field := fmt.Sprintf("stdio[%d]", i)
	e := errorOf(err)
	if notThere(err) {
		e.Code = protocol.CodeNotFound
	}
	e.Message = field + ": " + e.Message
	if e.Data == nil {
		e.Data = &protocol.ErrorData{}
	}
	e.Data.Field = field
	return e
}

func errStdio() error {
	return failure(protocol.CodeInvalidParams, "", "want exactly one of null, inherit, file, pipe, fd, dup, input, capture and pty")
}

// openOne opens one descriptor. All are close-on-exec here; the child makes its duplicates
// from the list. mine is closed when the job has been started; /dev/null, the server's
// own and what came with the request are not the plan's.
func (p *plan) openOne(r *request, i int, s *protocol.Stdio) (fd int, err error) {
	// Each kind is a field of its own in the JSON, so two can be given.
	kinds := 0
	for _, is := range []bool{s.Null, s.Inherit, s.File != "", s.Pipe, s.FD != nil, s.Dup != nil, s.Input, s.Capture != nil, s.PTY != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds > 1 || s.Mode != "" && s.File == "":
		return -1, errStdio()
	case s.Inherit:
		return p.v.inherited(i)
	case s.File != "":
		fd, err = openFile(program.Below(p.dir, string(s.File)), i, s.Mode)
	case s.Pipe:
		return p.pipe(i)
	case s.FD != nil:
		if *s.FD < 0 || *s.FD >= len(r.fds) {
			return -1, failure(protocol.CodeInvalidParams, "", "descriptor %d did not come with the request", *s.FD)
		}
		// It stays the request's, which closes it after the start; one may be named
		// twice.
		return r.fds[*s.FD], nil
	case s.Dup != nil:
		if *s.Dup < 0 || *s.Dup >= i {
			return -1, failure(protocol.CodeInvalidParams, "", "dup: want a lower descriptor of the job")
		}
		// The same descriptor here becomes two of the job's, of one open file
		// description.
		return int(p.files[*s.Dup]), nil
	case s.Capture != nil:
		return p.capture(i, s.Capture)
	case s.Input:
		return p.input(i)
	case s.PTY != nil:
		return p.pty(i, s.PTY)
	default:
		return p.v.null, nil
	}
	if err == nil {
		p.mine = append(p.mine, fd)
	}
	return fd, err
}

// inherited is a descriptor of the server's own: 1 or 2, or one from 3 on that it was
// started with. Others from 3 on are the server's cgroups, pipes and sockets.
func (v *server) inherited(i int) (int, error) {
	if i == 0 || i == v.out {
		return -1, failure(protocol.CodeInvalidParams, "", "the conversation is there, it cannot be inherited")
	}
	if i > 2 && !v.legacy[i] || !isOpen(i) {
		return -1, failure(protocol.CodeInvalidParams, "", "the supervisor has no descriptor %d to inherit", i)
	}
	return i, nil
}

// isOpen tells whether a descriptor is open; F_GETFD fails only with EBADF.
func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// keepToOurselves sets close-on-exec on the descriptors from 3 on with which the server
// was started, and returns them. No job and no helper gets one that the owner has not
// named; a pipe's writing end, say, would keep its reader waiting for as long as the job
// lives.
func keepToOurselves() (map[int]bool, error) {
	names, err := proc.Names("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("listing the server's descriptors in /proc: %w", err)
	}
	legacy := map[int]bool{}
	for _, name := range names {
		fd, _ := strconv.Atoi(name)
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && fd > 2 && flags&unix.FD_CLOEXEC == 0 {
			// Those that have the flag already are the Go runtime's, or this listing's
			// own.
			unix.CloseOnExec(fd)
			legacy[fd] = true
		}
	}
	return legacy, nil
}

// openFile opens a file. O_NONBLOCK keeps a FIFO without a peer from blocking the loop:
// to read it opens at once, to write it is ENXIO (fifo(7)). The job gets it without the
// flag. O_NOCTTY keeps a terminal from becoming the server's.
func openFile(name string, i int, mode protocol.FileMode) (int, error) {
	if mode == "" && i == 0 {
		mode = protocol.FileRead
	}
	flags := map[protocol.FileMode]int{
		protocol.FileRead:     unix.O_RDONLY,
		"":                    unix.O_WRONLY | unix.O_CREAT | unix.O_APPEND,
		protocol.FileAppend:   unix.O_WRONLY | unix.O_CREAT | unix.O_APPEND,
		protocol.FileCreate:   unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL,
		protocol.FileTruncate: unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC,
	}
	how, ok := flags[mode]
	if !ok {
		return -1, failure(protocol.CodeInvalidParams, "", "mode: want read, append, create or truncate")
	}
	fd, err := unix.Open(name, how|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0o666)
	if err != nil {
		return -1, fmt.Errorf("opening %s: %w", name, err)
	}
	// Few programs expect EAGAIN from a file that they were given.
	unix.SetNonblock(fd, false)
	return fd, nil
}

// newPipe makes a pipe whose ends are both close-on-exec, the caller's to close.
func newPipe() (r, w int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return 0, 0, fmt.Errorf("making a pipe: %w", err)
	}
	return ends[0], ends[1], nil
}

// pipe makes a pipe whose other end is the owner's: the job reads from descriptor 0 and
// writes to any other. The owner's end is sent with the answer and then closed here, so
// that the pipe ends when the owner closes it.
func (p *plan) pipe(i int) (int, error) {
	if !p.v.conn.Rights() {
		return -1, failure(protocol.CodeUnsupported, "", "descriptors travel over a stream socket of AF_UNIX alone")
	}
	r, w, err := newPipe()
	if err != nil {
		return -1, err
	}
	// The names are the sides that keep each end.
	job, owner := w, r
	if i == 0 {
		job, owner = r, w
	}
	p.mine, p.give, p.pipes = append(p.mine, job), append(p.give, owner), append(p.pipes, i)
	if len(p.give) > protocol.MaxDescriptors {
		return -1, failure(protocol.CodeInvalidParams, "", "at most %d pipes", protocol.MaxDescriptors)
	}
	return job, nil
}
