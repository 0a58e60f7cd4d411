package serve

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Bounds of captured output, in bytes; maxStdio is a number of descriptors.
const (
	defaultCapture = 1 << 20
	maxStdio       = 1024
	maxUnsent      = 1 << 20 // text that the owner has not taken; beyond it output is dropped
	readOutput     = 32 << 10
	maxPipe        = 2 << 20 // more than a pipe holds (/proc/sys/fs/pipe-max-size is 1 MiB)
)

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
		fd, err := p.open(r, i, &s)
		if err != nil {
			return stdioError(i, err)
		}
		p.files = append(p.files, uintptr(fd))
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

var errStdio = failure(protocol.CodeInvalidParams, "", "want exactly one of null, inherit, file, pipe, fd, dup and capture")

// open opens one descriptor. All are close-on-exec here; the child makes its duplicates
// from the list. mine is closed when the job has been started; /dev/null, the server's
// own and what came with the request are not the plan's.
func (p *plan) open(r *request, i int, s *protocol.Stdio) (fd int, err error) {
	// Each kind is a field of its own in the JSON, so two can be given.
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

// capture makes a pipe that the server reads. The server's end alone does not block: that
// flag belongs to the open file description, and each end has its own.
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

// An output is a captured descriptor of a job, which belongs to the job from its start
// on.
type output struct {
	fd        int   // the end that we read; -1: closed
	number    int   // the number that it has in the job
	left      int64 // bytes that may yet be told
	unlimited bool
	wait      bool // the job waits for the owner
	begun     bool // listen was called: ended tells how much there was

	told, dropped int64 // bytes
}

// listen begins to read, or goes on where the job had to wait. With wait, while the owner
// does not read, the pipe fills up and the job waits in its write(2).
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

// resume goes on, unless the job has ended since.
func (o *output) resume(j *job) {
	if o.fd >= 0 {
		o.listen(j)
	}
}

// resume lets those go on that waited for room. The list is taken first: each of them may
// find no room again and put itself back.
func (v *server) resume() {
	waiting := v.waiting
	v.waiting = nil
	// In the order in which they stopped, so that no job is always the last.
	for _, goOn := range waiting {
		goOn()
	}
}

// read takes some of the output and tells it, or drops it: beyond its limit, or while the
// owner does not read and enough is kept already. It says whether there may be more. The
// poller is level-triggered, so one read at a time leaves the loop free for other jobs.
func (o *output) read(j *job) (more bool) {
	var buf [readOutput]byte
	n, err := unix.Read(o.fd, buf[:])
	switch {
	case err == unix.EINTR:
		return true
	case err == unix.EAGAIN:
		return false
	// The last writer has closed its end.
	case n <= 0:
		o.close(j)
		return false
	}
	told := int64(n)
	if !o.unlimited {
		told = min(told, o.left)
	}
	// One bound for all jobs together, so that many of them cannot take more memory than
	// one.
	if !o.wait && j.v.blocked() && j.v.conn.Unsent() > maxUnsent {
		told = 0
	}
	// The rest of the buffer is counted and dropped; to leave it in the pipe would hold
	// up the job.
	o.left -= told
	o.told += told
	o.dropped += int64(n) - told
	if told > 0 {
		j.v.notify(protocol.NoteOutput, &protocol.JobOutput{Job: j.number, FD: o.number, Data: buf[:told]})
	}
	return true
}

// drain takes the rest of the output when every process of the job is dead. A process of
// another job may hold the writing end by a descriptor that was passed to it; drain reads
// no more than a pipe can hold, and does not wait for the end of file.
func (o *output) drain(j *job) {
	// Each read takes a full buffer or all that is there.
	for range maxPipe / readOutput {
		if o.fd < 0 || !o.read(j) {
			break
		}
	}
	o.close(j)
}

// close closes the server's end, once. A writer that is left gets SIGPIPE.
func (o *output) close(j *job) {
	if o.fd >= 0 {
		j.v.poller.Forget(o.fd)
		unix.Close(o.fd)
		o.fd = -1
	}
}
