package clienttest

import (
	"slices"
	"syscall"

	"github.com/seed-c1490a04/supervise/protocol"
)

func (r *request) input() (any, func(), error) {
	var p protocol.InputParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, nil, err
	}
	in := j.inputs[p.FD]
	text := append(slices.Clip(p.Data), p.Text...)
	switch {
	case in == nil:
		return nil, nil, failure(protocol.CodeInvalidParams, "fd", "descriptor %d of job %d is no input", p.FD, j.number)
	case p.Data != nil && p.Text != "":
		return nil, nil, failure(protocol.CodeInvalidParams, "text", "want data or text, not both")
	case in.over:
		return nil, nil, broken(p.FD)
	case j.waiting+len(text) > protocol.MaxInput && len(text) > 0:
		return nil, nil, failure(protocol.CodeTooMany, "data", "%d bytes of input wait already", j.waiting)
	}
	in.over, r.late = p.EOF && !in.terminal, true
	in.take(&inputRequest{r.ID, text, p.EOF})
	return nil, nil, nil
}

func (r *request) resize() (any, func(), error) {
	var p protocol.ResizeParams
	j, err := r.job(&p, &p.Job)
	switch {
	case err != nil:
		return nil, nil, err
	case j.rows == 0:
		return nil, nil, failure(protocol.CodeInvalidParams, "job", "job %d has no terminal", j.number)
	case p.Rows == 0 || p.Cols == 0:
		return nil, nil, failure(protocol.CodeInvalidParams, "rows", "want rows and cols, 1 to 65535")
	}
	j.rows, j.cols = p.Rows, p.Cols
	return done, func() { j.signal(syscall.SIGWINCH) }, nil
}

func (r *request) credit() (any, func(), error) {
	const most = int64(1) << 50
	var p protocol.CreditParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, nil, err
	}
	o := j.outputs[descriptor(p.FD)]
	switch {
	case o == nil || !o.windowed:
		return nil, nil, failure(protocol.CodeInvalidParams, "fd", "descriptor %d has no window", descriptor(p.FD))
	case p.Bytes < 0 || p.Bytes > most-o.credit:
		return nil, nil, failure(protocol.CodeInvalidParams, "bytes", "bytes: want 0 or more")
	}
	o.credit += p.Bytes
	return done, o.pump, nil
}

// descriptor is the standard output if none is named.
func descriptor(fd *int) int {
	if fd == nil {
		return 1
	}
	return *fd
}

func (r *request) output() (any, func(), error) {
	var p protocol.OutputParams
	if err := r.params(&p); err != nil {
		return nil, nil, err
	}
	wait, err := durationOf("wait", p.Wait)
	switch {
	case err != nil:
		return nil, nil, err
	case p.Max < 0 || p.Max > protocol.MaxOutput:
		return nil, nil, failure(protocol.CodeInvalidParams, "max", "max: want 0 to %d bytes", protocol.MaxOutput)
	}
	o, err := r.c.kept(p.Job, descriptor(p.FD))
	if err != nil {
		return nil, nil, err
	}
	part, nothing := o.part(&p)
	if !nothing || wait == 0 || r.ID == nil {
		return part, nil, nil
	}
	r.late = true
	o.await(&reader{id: r.ID, p: &p}, wait)
	return nil, nil, nil
}

// kept finds an output of which something is kept.
func (c *conversation) kept(number, fd int) (*output, error) {
	j := c.jobs[number]
	if i := slices.IndexFunc(c.archive, func(j *job) bool { return j.number == number }); i >= 0 {
		j = c.archive[i]
	}
	if j == nil {
		return nil, failure(protocol.CodeNoJob, "job", "nothing is kept of a job %d", number)
	}
	if o := j.outputs[fd]; o != nil && o.keep > 0 {
		return o, nil
	}
	return nil, failure(protocol.CodeInvalidParams, "fd", "nothing is kept of descriptor %d of job %d", fd, number)
}

func (r *request) forget() (any, func(), error) {
	var p protocol.JobParams
	if err := r.params(&p); err != nil {
		return nil, nil, err
	}
	n := len(r.c.archive)
	r.c.archive = slices.DeleteFunc(r.c.archive, func(j *job) bool { return j.number == p.Job })
	if len(r.c.archive) == n {
		return nil, nil, failure(protocol.CodeNoJob, "job", "nothing is kept of a job %d that has ended", p.Job)
	}
	return done, nil, nil
}

// broken is the error for an input that the job does not read any more, or that has ended.
func broken(fd int) error {
	e := failure(protocol.CodeSystem, "fd", "descriptor %d of the job is closed", fd)
	e.Data.Errno = "EPIPE"
	return e
}
