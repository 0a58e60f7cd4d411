package serve

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Bounds of captured output.
const (
	defaultCapture = 1 << 20
	maxStdio       = 1024
	maxUnsent      = 1 << 20 // output that the owner has not taken, of all jobs together
	readOutput     = 32 << 10
	maxPipe        = 2 << 20 // more than a pipe holds (/proc/sys/fs/pipe-max-size is 1 MiB)
)

// connect opens the job's descriptors.
func (p *plan) connect(r *request, stdio []protocol.Stdio) error {
	if len(stdio) > maxStdio {
		return failure(protocol.CodeInvalidParams, "stdio", "stdio: at most %d descriptors", maxStdio)
	}
	for i := range max(3, len(stdio)) {
		var s protocol.Stdio
		if i < len(stdio) {
			s = stdio[i]
		}
		fd, err := p.open(r, i, &s)
		if err != nil {
			return stdioError(i, err)
		}
		p.files = append(p.files, uintptr(fd))
	}
	return nil
}

// stdioError says which of the descriptors could not be opened.
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

var errStdio = failure(protocol.CodeInvalidParams, "", "want exactly one of null, inherit, file, pipe, fd, dup and capture")

// open opens one descriptor. What was opened for the job alone is closed when it has
// been started.
func (p *plan) open(r *request, i int, s *protocol.Stdio) (fd int, err error) {
	kinds := 0
	for _, is := range []bool{s.Null, s.Inherit, s.File != "", s.Pipe, s.FD != nil, s.Dup != nil, s.Capture != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds > 1 || s.Mode != "" && s.File == "":
		return -1, errStdio
	case s.Inherit:
		return p.v.inherited(i)
	case s.File != "":
		fd, err = openFile(program.Below(p.dir, s.File), i, s.Mode)
	case s.Pipe:
		return p.pipe(i)
	case s.FD != nil:
		if *s.FD < 0 || *s.FD >= len(r.fds) {
			return -1, failure(protocol.CodeInvalidParams, "", "descriptor %d did not come with the request", *s.FD)
		}
		return r.fds[*s.FD], nil
	case s.Dup != nil:
		if *s.Dup < 0 || *s.Dup >= i {
			return -1, failure(protocol.CodeInvalidParams, "", "dup: want a lower descriptor of the job")
		}
		return int(p.files[*s.Dup]), nil
	case s.Capture != nil:
		return p.capture(i, s.Capture)
	default:
		return p.v.null, nil
	}
	if err == nil {
		p.mine = append(p.mine, fd)
	}
	return fd, err
}

// inherited is a descriptor of our own.
func (v *server) inherited(i int) (int, error) {
	if i == 0 || i == v.out {
		return -1, failure(protocol.CodeInvalidParams, "", "the conversation is there, it cannot be inherited")
	}
	if i > 2 && !v.legacy[i] || !isOpen(i) {
		return -1, failure(protocol.CodeInvalidParams, "", "the supervisor has no descriptor %d to inherit", i)
	}
	return i, nil
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// keepToOurselves has no program that we execute get the descriptors from 3 on that we
// were given, and returns them.
func keepToOurselves() (map[int]bool, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	legacy := map[int]bool{}
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && fd > 2 && flags&unix.FD_CLOEXEC == 0 {
			unix.CloseOnExec(fd)
			legacy[fd] = true
		}
	}
	return legacy, err
}

// openFile opens a file, and is not held up by a FIFO without a reader.
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
	unix.SetNonblock(fd, false)
	return fd, nil
}

func newPipe() (r, w int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return 0, 0, fmt.Errorf("making a pipe: %w", err)
	}
	return ends[0], ends[1], nil
}

// pipe makes a pipe whose other end is the owner's: descriptor 0 is read from, others
// are written to.
func (p *plan) pipe(i int) (int, error) {
	if !p.v.conn.Rights() {
		return -1, failure(protocol.CodeUnsupported, "", "descriptors travel over a stream socket of AF_UNIX alone")
	}
	r, w, err := newPipe()
	if err != nil {
		return -1, err
	}
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

// capture makes a pipe that we read.
func (p *plan) capture(i int, c *protocol.CaptureSpec) (int, error) {
	if i == 0 || c.Limit < -1 {
		return -1, failure(protocol.CodeInvalidParams, "", "capture: want a descriptor from 1 on, and a limit of -1 or more")
	}
	r, w, err := newPipe()
	if err != nil {
		return -1, err
	}
	unix.SetNonblock(r, true)
	o := &output{fd: r, number: i, left: c.Limit, unlimited: c.Limit < 0, wait: c.Wait}
	if c.Limit == 0 {
		o.left = defaultCapture
	}
	p.mine, p.outputs = append(p.mine, w), append(p.outputs, o)
	return w, nil
}

// An output is a captured descriptor of a job.
type output struct {
	fd        int // the end that we read; -1: closed
	number    int // the job's
	left      int64
	unlimited bool
	wait      bool // the job waits for the owner
	begun     bool

	told, dropped int64
}

// listen begins to read, or goes on where the job had to wait.
func (o *output) listen(j *job) {
	o.begun = true
	err := j.v.poller.Watch(o.fd, unix.EPOLLIN, func(uint32) {
		if o.wait && j.v.blocked() {
			j.v.poller.Watch(o.fd, 0, nil)
			j.v.waiting = append(j.v.waiting, func() { o.resume(j) })
			return
		}
		o.read(j)
	})
	j.v.failed = errors.Join(j.v.failed, err)
}

func (o *output) resume(j *job) {
	if o.fd >= 0 {
		o.listen(j)
	}
}

// resume lets those go on that waited for the owner.
func (v *server) resume() {
	waiting := v.waiting
	v.waiting = nil
	for _, goOn := range waiting {
		goOn()
	}
}

// read takes some of the output and tells it, or drops what is past the limit. It
// says whether there may be more.
func (o *output) read(j *job) (more bool) {
	var buf [readOutput]byte
	n, err := unix.Read(o.fd, buf[:])
	switch {
	case err == unix.EINTR:
		return true
	case err == unix.EAGAIN:
		return false
	case n <= 0:
		o.close(j)
		return false
	}
	told := int64(n)
	if !o.unlimited {
		told = min(told, o.left)
	}
	if !o.wait && j.v.blocked() && j.v.conn.Unsent() > maxUnsent {
		told = 0
	}
	o.left -= told
	o.told += told
	o.dropped += int64(n) - told
	if told > 0 {
		j.v.notify(protocol.NoteOutput, &protocol.JobOutput{Job: j.number, FD: o.number, Data: buf[:told]})
	}
	return true
}

// drain takes what is left when all who could write are dead. Somebody else may
// hold the other end, and is not waited for.
func (o *output) drain(j *job) {
	for range maxPipe / readOutput {
		if o.fd < 0 || !o.read(j) {
			break
		}
	}
	o.close(j)
}

func (o *output) close(j *job) {
	if o.fd >= 0 {
		j.v.poller.Forget(o.fd)
		unix.Close(o.fd)
		o.fd = -1
	}
}
