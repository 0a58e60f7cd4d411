package client

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// Signal sends a signal to the main process. For a job that has ended it is
// os.ErrProcessDone, as with all of these.
func (c *Cmd) Signal(s os.Signal) error {
	return c.control(protocol.MethodSignal, protocol.SignalParams{Job: c.Job(), Signal: signalName(s)}, nil)
}

// SignalAll sends a signal to every process of the job, and misses none.
func (c *Cmd) SignalAll(s os.Signal) error {
	return c.control(protocol.MethodSignal, protocol.SignalParams{Job: c.Job(), Signal: signalName(s), All: true}, nil)
}

// Kill ends the job, all of it. Wait tells when it has ended.
func (c *Cmd) Kill() error {
	return c.control(protocol.MethodKill, protocol.KillParams{Job: c.Job()}, nil)
}

// KillWait is Kill, and returns when nothing of the job is left, with its record and the
// processes that were alive.
func (c *Cmd) KillWait(ctx context.Context) (protocol.KillResult, error) {
	return c.killWait(ctx, protocol.KillParams{})
}

// StopWait is Stop, and returns when nothing of the job is left, with its record and the
// processes that were alive at the end of the grace period.
func (c *Cmd) StopWait(ctx context.Context, grace time.Duration) (protocol.KillResult, error) {
	return c.killWait(ctx, protocol.KillParams{Grace: new(max(0, grace.Seconds())), Signal: signalName(c.StopSignal)})
}

func (c *Cmd) killWait(ctx context.Context, p protocol.KillParams) (r protocol.KillResult, err error) {
	if c.job == nil {
		return r, errNotStarted
	}
	if err := c.conn.needs("kill-wait"); err != nil {
		return r, err
	}
	p.Job, p.Wait = c.Job(), true
	k, err := c.newCall(protocol.MethodKill, p)
	if err == nil {
		k.slow = true
		err = c.conn.await(ctx, k, &r)
	}
	return r, err
}

// Ready returns when the job has said that it is ready, as systemd-notify(1) and many servers
// do, if protocol.NotifyReady is in Notify. If the job has ended before, the error is
// ErrNotReady, or that of the connection.
func (c *Cmd) Ready(ctx context.Context) (*protocol.JobReady, error) {
	switch {
	case c.job == nil:
		return nil, errNotStarted
	case !slices.Contains(c.Notify, protocol.NotifyReady):
		return nil, errors.New("supervise: Ready: protocol.NotifyReady is not in Notify")
	}
	defer c.conn.holds(c.job)()
	select {
	case <-c.job.ready:
		return c.job.readiness, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.job.ended:
	}
	select {
	case <-c.job.ready:
		return c.job.readiness, nil
	default:
		return nil, cmp.Or(c.job.err, ErrNotReady)
	}
}

// Stop sends StopSignal to every process of the job, and ends what is left of it after a
// grace period. Wait tells when it has ended.
func (c *Cmd) Stop(grace time.Duration) error {
	return c.control(protocol.MethodKill, protocol.KillParams{
		Job: c.Job(), Grace: new(max(0, grace.Seconds())), Signal: signalName(c.StopSignal),
	}, nil)
}

// Freeze holds the job; when it returns none of its processes runs.
func (c *Cmd) Freeze() error {
	return c.control(protocol.MethodFreeze, protocol.JobParams{Job: c.Job()}, nil)
}

// Thaw has the job go on.
func (c *Cmd) Thaw() error {
	return c.control(protocol.MethodThaw, protocol.JobParams{Job: c.Job()}, nil)
}

// Limit changes limits of the running job, see Limits.
func (c *Cmd) Limit(m map[string]string) (protocol.LimitResult, error) {
	var r protocol.LimitResult
	p := protocol.LimitParams{Job: c.Job(), Limits: limits(m), BestEffort: c.BestEffort}
	err := c.control(protocol.MethodLimit, p, &r)
	return r, err
}

// Stat tells what the job does and uses now.
func (c *Cmd) Stat() (protocol.StatResult, error) {
	var r protocol.StatResult
	err := c.control(protocol.MethodStat, protocol.JobParams{Job: c.Job()}, &r)
	return r, err
}

// Mark begins a phase of the job, which the record will list, and returns the one before.
func (c *Cmd) Mark(name string) (protocol.Phase, error) {
	var r protocol.MarkResult
	err := c.control(protocol.MethodMark, protocol.MarkParams{Job: c.Job(), Name: protocol.Text(name)}, &r)
	return r.Phase, err
}

// Detach hands the job to a systemd scope of its own, where it may outlive us. Wait
// returns ErrDetached then.
func (c *Cmd) Detach() (protocol.DetachResult, error) {
	var r protocol.DetachResult
	err := c.control(protocol.MethodDetach, protocol.JobParams{Job: c.Job()}, &r)
	return r, err
}

// control makes a request about a job that was started. It needs no context: the answer
// comes at once, or the connection ends.
func (c *Cmd) control(method string, params, result any) error {
	k, err := c.newCall(method, params)
	if err != nil {
		return err
	}
	if method == protocol.MethodDetach {
		k.leaves = c.job
	}
	return c.conn.await(context.Background(), k, result)
}

// newCall prepares a request about a job that was started, and has not ended.
func (c *Cmd) newCall(method string, params any) (*call, error) {
	if c.job == nil {
		return nil, errNotStarted
	}
	select {
	case <-c.job.ended:
		if c.job.err != nil {
			return nil, c.job.err
		}
		return nil, os.ErrProcessDone // also if the connection has ended since
	default:
	}
	return c.conn.newCall(method, params)
}
