package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Kept as Cmd.Stdout or Cmd.Stderr has the supervisor keep the last bytes of what the job
// writes: they are to be had at any time, from any offset, also when the job has ended, until
// Cmd.Forget. It suits many jobs whose output is looked at now and then: it takes no
// goroutine, and no memory here. Offsets count from the first byte that the job wrote.
//
// The methods may be called by several goroutines, once Start has returned. It is for one
// job.
type Kept struct {
	Size int64 // bytes, at most protocol.MaxKept; 64 KiB if 0
	Text bool  // Output and Follow give protocol.OutputResult.Text where it is UTF-8, and cut no character in two

	conn *Conn
	job  *job
	fd   int
}

// A CutError says that bytes were asked for that are not kept any more.
type CutError struct {
	Offset int64 // of the oldest byte that is there
	Bytes  int64 // how many before it are lost
}

func (e *CutError) Error() string {
	return fmt.Sprintf("supervise: %d bytes of output before offset %d are not kept any more", e.Bytes, e.Offset)
}

func (k *Kept) size() int64 {
	if k.Size == 0 {
		return 64 << 10
	}
	return k.Size
}

func (k *Kept) take([]byte)                   {}
func (k *Kept) end(protocol.OutputEnd, error) {}
func (k *Kept) start(c *Conn, j *job)         { k.conn, k.job = c, j }

// Write implements io.Writer, as Cmd.Stdout has to. It fails: the supervisor has what the
// job writes.
func (k *Kept) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Output returns what there is from an offset on; a negative one is that many bytes before
// the end. Next in it is the offset to go on with, and Cut says how many bytes between are
// lost.
func (k *Kept) Output(ctx context.Context, offset int64) (protocol.OutputResult, error) {
	return k.ask(ctx, protocol.OutputParams{Offset: &offset})
}

// Follow is Output, and waits for a byte, or the end.
func (k *Kept) Follow(ctx context.Context, offset int64) (protocol.OutputResult, error) {
	return k.ask(ctx, protocol.OutputParams{Offset: &offset, Wait: followFor})
}

// followFor is how long one request waits, in seconds: as long as the supervisor remembers
// one whose caller has given up.
const followFor = 60

func (k *Kept) ask(ctx context.Context, p protocol.OutputParams) (protocol.OutputResult, error) {
	if k.job == nil {
		return protocol.OutputResult{}, errNotStarted
	}
	p.Job, p.FD, p.Text = k.job.spawned.Job, &k.fd, p.Text || k.Text
	for {
		r, err := k.conn.Output(ctx, p)
		if err != nil || p.Wait == 0 || r.Next > r.Offset || r.Cut > 0 || r.EOF {
			return r, err
		}
	}
}

// ReadAt implements io.ReaderAt for what is there, as a file's does: less than was asked for
// is io.EOF. What is not kept any more is a *CutError.
func (k *Kept) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, errors.New("supervise: reading output: a negative offset")
	}
	for n < len(p) {
		at := offset + int64(n)
		r, err := k.ask(context.Background(), protocol.OutputParams{Offset: &at, Max: int64(min(len(p)-n, protocol.MaxOutput))})
		switch {
		case err != nil:
			return n, err
		case r.Cut > 0:
			return n, &CutError{r.Offset, r.Cut}
		case r.Next == r.Offset || r.Offset < at:
			return n, io.EOF
		}
		n += copy(p[n:], outputBytes(r))
	}
	return n, nil
}

// Reader reads from an offset on to the end of the job's output, and waits for it, as
// "tail -f" does. Where bytes were lost, as the job was faster, a Read is a *CutError, and the
// next goes on behind them.
func (k *Kept) Reader(ctx context.Context, offset int64) io.Reader {
	return &keptReader{ctx: ctx, kept: k, next: offset}
}

type keptReader struct {
	ctx  context.Context
	kept *Kept
	next int64
	rest []byte
	eof  bool
}

func (r *keptReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && len(p) > 0 {
		if r.eof {
			return 0, io.EOF
		}
		got, err := r.kept.Follow(r.ctx, r.next)
		if err != nil {
			return 0, err
		}
		r.next, r.rest = got.Next, outputBytes(got)
		r.eof = got.EOF && got.Next == got.Bytes
		if got.Cut > 0 {
			return 0, &CutError{got.Offset, got.Cut}
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// outputBytes are those of an answer, however they came.
func outputBytes(r protocol.OutputResult) []byte {
	if r.Text != nil {
		return []byte(*r.Text)
	}
	return r.Data
}

// Output returns output that is kept of a job, which may have ended: see Kept, whose methods
// are easier.
func (c *Conn) Output(ctx context.Context, p protocol.OutputParams) (r protocol.OutputResult, err error) {
	if err := c.needs("keep"); err != nil {
		return r, err
	}
	k, err := c.newCall(protocol.MethodOutput, p)
	if err != nil {
		return r, err
	}
	k.slow = p.Wait > 0
	err = c.await(ctx, k, &r)
	return r, err
}

// Kept returns the numbers of the jobs that have ended, of which output is kept, in the order
// of their ends.
func (c *Conn) Kept(ctx context.Context) ([]int, error) {
	var r protocol.ListResult
	if err := c.needs("keep"); err != nil {
		return nil, err
	}
	err := c.Call(ctx, protocol.MethodList, nil, &r)
	return r.Kept, err
}

// Forget drops what is kept of a job that has ended. If that was done, or if it had to make
// room, the error is os.ErrProcessDone.
func (c *Conn) Forget(ctx context.Context, job int) error {
	if err := c.needs("keep"); err != nil {
		return err
	}
	return c.Call(ctx, protocol.MethodForget, protocol.JobParams{Job: job}, nil)
}

// Forget drops what is kept of the job, which has ended: see Kept.
func (c *Cmd) Forget() error {
	if c.job == nil {
		return errNotStarted
	}
	return c.conn.Forget(context.Background(), c.Job())
}
