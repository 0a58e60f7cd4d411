package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/seed-c1490a04/supervise/protocol"
)

var (
	errNotStarted = errors.New("supervise: not started")
	errStarted    = errors.New("supervise: started already")
)

// Start starts the command. If there is no error, Wait must be called, also after Kill,
// so that descriptors are closed. That the command is not there, or cannot be executed,
// is an error of Start.
func (c *Cmd) Start() (err error) {
	if c.begun {
		return errStarted
	}
	c.begun = true
	defer func() {
		if err != nil {
			c.stdio.undo()
		}
	}()
	if err := c.context().Err(); err != nil {
		return err
	}
	p, err := c.params()
	if err != nil {
		return err
	}
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	if err := c.spawn(p); err != nil {
		c.disconnect()
		return err
	}
	c.stdio.start(c.conn, c.job)
	c.watch()
	return nil
}

// connect starts a supervisor for a command that has none.
func (c *Cmd) connect() (err error) {
	if c.conn == nil {
		c.own = true
		c.conn, err = Start(c.context(), c.Supervisor)
	}
	return err
}

// supports refuses what the supervisor does not offer: one that does not know a field would
// ignore it.
func (c *Conn) supports(p *protocol.SpawnParams) error {
	var features []string
	if len(p.Pipeline) > 0 {
		features = append(features, "pipeline")
	}
	if slices.Contains(p.Notify, protocol.NotifyReady) {
		features = append(features, "ready")
	}
	for _, s := range p.Stdio {
		features = append(features, featuresOf(s)...)
	}
	for _, f := range features {
		if err := c.needs(f); err != nil {
			return err
		}
	}
	return nil
}

// featuresOf are those that a descriptor needs.
func featuresOf(s protocol.Stdio) (features []string) {
	if s.Input {
		features = append(features, "input")
	}
	if s.PTY != nil {
		features = append(features, "pty")
		s.Capture = &protocol.CaptureSpec{Window: s.PTY.Window, Keep: s.PTY.Keep, Text: s.PTY.Text}
	}
	if c := s.Capture; c != nil {
		for feature, wanted := range map[string]bool{"window": c.Window > 0, "keep": c.Keep > 0, "text": c.Text} {
			if wanted {
				features = append(features, feature)
			}
		}
	}
	return features
}

func (c *Cmd) disconnect() {
	if c.own {
		c.conn.Close()
	}
}

func (c *Cmd) spawn(p *protocol.SpawnParams) error {
	p.Stdio, p.FDs = c.stdio.list, len(c.stdio.handed)
	if p.FDs > 0 && !c.passes() {
		return errNoDescriptors
	}
	if err := c.conn.supports(p); err != nil {
		return err
	}
	k, err := c.conn.newCall(protocol.MethodSpawn, p)
	if err != nil {
		return err
	}
	k.spawns = newJob(c.stdio.sinks)
	k.files = c.stdio.take()
	if err := c.conn.do(c.context(), k); err != nil {
		if refusal := (*CallError)(nil); errors.As(err, &refusal) {
			refusal.Name = c.Args[0]
		}
		return err
	}
	c.job = k.spawns
	return nil
}

// watch has the job ended when the context is done. Until then it takes no goroutine.
func (c *Cmd) watch() {
	if c.ctx == nil || c.ctx.Done() == nil {
		return
	}
	c.watched = make(chan struct{})
	c.stopWatch = context.AfterFunc(c.ctx, func() { // ends when Cancel does; unwatch waits for it
		defer close(c.watched)
		c.cancelErr = c.cancel()
	})
}

// cancel returns what Wait will: the context's error, unless the job had ended before.
func (c *Cmd) cancel() error {
	f := c.Cancel
	if f == nil {
		f = c.Kill
	}
	switch err := f(); {
	case err == nil:
		return c.ctx.Err()
	case errors.Is(err, os.ErrProcessDone):
		return nil
	default:
		return errors.Join(c.ctx.Err(), fmt.Errorf("supervise: canceling the job: %w", err))
	}
}

func (c *Cmd) unwatch() {
	if c.stopWatch != nil && !c.stopWatch() {
		<-c.watched
	}
}

// Wait waits until no process of the job is alive, and what it has written is copied. Its
// error is nil if the command has exited with status 0, an *ExitError if the job ended in
// another way; if the supervisor is gone it wraps ErrLost, and the record is not known.
// It may be called several times, and then returns the same.
func (c *Cmd) Wait() error {
	if c.job == nil {
		return errNotStarted
	}
	c.waitOnce.Do(func() { c.waitErr = c.wait() })
	return c.waitErr
}

func (c *Cmd) wait() error {
	ended, err := c.conn.wait(c.job)
	c.unwatch()
	delay := c.WaitDelay
	if err != nil && delay == 0 {
		delay = lingering // any process may still have our pipes
	}
	copying := c.stdio.finish(delay)
	c.disconnect()
	switch {
	case err != nil:
		return err
	case !c.succeeded(ended.Record):
		return &ExitError{Record: ended.Record, context: c.cancelErr}
	case c.cancelErr != nil:
		return c.cancelErr
	}
	return copying
}

func (c *Cmd) succeeded(r *protocol.Record) bool {
	left := c.Leftovers == protocol.LeftoversFail && r.LeftoversTotal != nil && *r.LeftoversTotal > 0
	return exitCode(r) == 0 && r.Cause == protocol.CauseExited && r.Error == nil && !left
}

// Run is Start and Wait.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output is Run, and returns what the job has written to its standard output. If Stderr
// is nil, an ExitError has the beginning of that.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errPipeSet
	}
	const beginning = 64 << 10
	var stdout bytes.Buffer
	var stderr *Capture
	c.Stdout = &stdout
	if c.Stderr == nil {
		stderr = &Capture{Limit: beginning, Wait: true}
		c.Stderr = stderr
	}
	err := c.Run()
	if e := (*ExitError)(nil); stderr != nil && errors.As(err, &e) {
		e.Stderr = stderr.Bytes()
	}
	return stdout.Bytes(), err
}

// CombinedOutput is Run, and returns what the job has written to its standard output and
// standard error.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errPipeSet
	}
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err := c.Run()
	return b.Bytes(), err
}
