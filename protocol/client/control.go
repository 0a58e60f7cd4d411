package client

import (
	"context"
	"os"
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
	if c.job == nil {
		return errNotStarted
	}
	select {
	case <-c.job.ended:
		if c.job.err != nil {
			return c.job.err
		}
		return os.ErrProcessDone // also if the connection has ended since
	default:
	}
	k, err := c.conn.newCall(method, params)
	if err != nil {
		return err
	}
	if method == protocol.MethodDetach {
		k.leaves = c.job
	}
	return c.conn.await(context.Background(), k, result)
}
