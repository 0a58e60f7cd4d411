package serve

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// Bounds of captured output, in bytes.
const (
	defaultCapture = 1 << 20
	maxUnsent      = 1 << 20 // text that the owner has not taken; beyond it output is dropped
	readOutput     = 32 << 10
	maxPipe        = 2 << 20 // more than a pipe holds (/proc/sys/fs/pipe-max-size is 1 MiB), or a terminal
)

// An output is a captured descriptor of a job, or what the job's terminal prints. It
// belongs to the job from its start on.
//
//	the job's write(2) ──> pipe, terminal ──> read ──┬──> limit ──> characters ──> output
//	                                                 └──> kept ──> the answers to output
//
// With wait, or a window, it is read only while the owner takes it, so that the job waits.
type output struct {
	fd        int   // the end that we read; -1: closed
	number    int   // the number that it has in the job
	left      int64 // bytes that may yet be told
	unlimited bool
	wait      bool  // the job waits for the owner
	windowed  bool  // the job waits while there is no credit
	credit    int64 // bytes; a character that is not cut may overdraw it
	text      bool
	begun     bool // listen was called: ended tells how much there was
	draining  bool // every process of the job is dead

	head []byte // the first bytes of a character, which are told with the rest
	kept *kept  // nil: nothing is kept

	told, total int64 // bytes
}

// capture makes a pipe that the server reads. The server's end alone does not block: that
// flag belongs to the open file description, and each end has its own.
func (p *plan) capture(i int, c *protocol.CaptureSpec) (int, error) {
	switch {
	case i == 0 || c.Limit < -1:
		return -1, failure(protocol.CodeInvalidParams, "", "capture: want a descriptor from 1 on, and a limit of -1 or more")
	case c.Window < 0 || c.Window > maxCredit:
		return -1, failure(protocol.CodeInvalidParams, "", "window: want 1 to %d bytes", maxCredit)
	}
	r, w, err := newPipe()
	if err != nil {
		return -1, err
	}
	unix.SetNonblock(r, true)
	o := &output{
		fd: r, number: i, left: c.Limit, unlimited: c.Limit < 0, text: c.Text,
		wait: c.Wait || c.Window > 0, windowed: c.Window > 0, credit: c.Window,
	}
	if c.Limit == 0 && c.Keep == 0 {
		o.left = defaultCapture
		o.unlimited = o.windowed // what the owner acknowledges it wants
	}
	p.mine, p.outputs = append(p.mine, w), append(p.outputs, o)
	return w, p.keep(o, c.Keep)
}

// keep has the last bytes of an output kept, if there is room beside what the running jobs
// have been promised.
func (p *plan) keep(o *output, most int64) error {
	switch {
	case most == 0:
		return nil
	case most < 0 || most > protocol.MaxKept:
		return failure(protocol.CodeInvalidParams, "", "keep: want 0 to %d bytes", protocol.MaxKept)
	case !p.v.archive.reserve(most):
		return failure(protocol.CodeTooMany, "", "of the running jobs %d bytes of output are kept at most", maxKeptOutput)
	}
	o.kept = &kept{number: o.number, most: most}
	return nil
}

// listen begins to read, or goes on where the job had to wait. With wait, while the owner
// does not read, the pipe fills up and the job waits in its write(2).
func (o *output) listen(j *job) {
	o.begun = true
	err := j.v.poller.Watch(o.fd, unix.EPOLLIN, func(uint32) {
		switch {
		case o.windowed && o.credit <= 0:
			j.v.poller.Watch(o.fd, 0, nil) // until the owner gives some
		case o.wait && j.v.blocked():
			j.v.poller.Watch(o.fd, 0, nil)
			j.v.waiting = append(j.v.waiting, func() { o.resume(j) })
		default:
			o.read(j)
		}
	})
	j.v.failed = errors.Join(j.v.failed, err)
}

// resume goes on, unless the job has ended since.
func (o *output) resume(j *job) {
	if o.fd >= 0 {
		o.listen(j)
	}
}

// read takes some of the output and tells it, or drops it: beyond its limit, or while the
// owner does not read and enough is kept already. It says whether there may be more. The
// poller is level-triggered, so one read at a time leaves the loop free for other jobs.
func (o *output) read(j *job) (more bool) {
	var buf [readOutput]byte
	most := len(buf)
	if o.windowed && !o.draining {
		most = int(min(int64(most), o.credit))
	}
	n, err := unix.Read(o.fd, buf[:most])
	switch {
	case err == unix.EINTR:
		return true
	case err == unix.EAGAIN:
		return false
	// The last writer has closed its end; of a terminal that is EIO.
	case n <= 0:
		o.close(j)
		return false
	}
	o.total += int64(n)
	if o.kept != nil {
		o.kept.add(j.v, buf[:n])
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
	o.tell(j, buf[:told], told < int64(n))
	return true
}

// tell tells some of the output. As text a character that is not whole waits for the rest,
// unless there will be none: last says that what follows is not told.
func (o *output) tell(j *job, part []byte, last bool) {
	if len(o.head) > 0 {
		part, o.head = append(o.head, part...), nil
	}
	if o.text && !last {
		whole := len(part) - protocol.UnfinishedText(part)
		part, o.head = part[:whole], append([]byte{}, part[whole:]...)
	}
	if len(part) == 0 {
		return
	}
	o.told += int64(len(part))
	o.credit -= int64(len(part))
	told := &protocol.JobOutput{Job: j.number, FD: o.number}
	told.Data, told.Text = protocol.TextOrData(part, o.text)
	j.v.notify(protocol.NoteOutput, told)
}

// drain takes the rest of the output when every process of the job is dead. A process of
// another job may hold the writing end by a descriptor that was passed to it; drain reads
// no more than a pipe can hold, and does not wait for the end of file.
func (o *output) drain(j *job) {
	o.draining = true
	// Each read takes a full buffer or all that is there.
	for range maxPipe / readOutput {
		if o.fd < 0 || !o.read(j) {
			break
		}
	}
	o.close(j)
}

// end is how much there was.
func (o *output) end() protocol.OutputEnd {
	e := protocol.OutputEnd{FD: o.number, Bytes: o.told, DroppedBytes: o.total - o.told}
	if o.kept != nil {
		e.KeptBytes = o.kept.size()
		e.DroppedBytes = max(0, o.total-e.KeptBytes-o.told)
	}
	return e
}

// close closes the server's end, once. A writer that is left gets SIGPIPE.
func (o *output) close(j *job) {
	if o.fd < 0 {
		return
	}
	o.tell(j, nil, true)
	j.v.poller.Forget(o.fd)
	unix.Close(o.fd)
	o.fd = -1
	if o.kept != nil {
		o.kept.finish(j.v)
	}
}

// credit gives an output a wider window: the owner has taken so many bytes. -32602 if the
// descriptor has none.
func (r *request) credit() (any, error) {
	var p protocol.CreditParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	for _, o := range j.outputs {
		if o.number != descriptor(p.FD, 1) || !o.windowed {
			continue
		}
		if p.Bytes < 0 || p.Bytes > maxCredit-max(0, o.credit) {
			return nil, failure(protocol.CodeInvalidParams, "bytes", "bytes: want 0 or more, and at most %d in all", maxCredit)
		}
		o.credit += p.Bytes
		if o.begun && o.credit > 0 {
			o.resume(j)
		}
		return struct{}{}, nil
	}
	return nil, failure(protocol.CodeInvalidParams, "fd", "descriptor %d of job %d has no window", descriptor(p.FD, 1), j.number)
}

// maxCredit bounds a window; it is no memory of the server's.
const maxCredit = int64(1) << 50

// descriptor is the number of a descriptor of a job, or the usual one if none is named.
func descriptor(fd *int, usual int) int {
	if fd == nil {
		return usual
	}
	return *fd
}
