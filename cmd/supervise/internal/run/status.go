package run

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/nested"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// finish delivers the record, then the exit status. A record that could not be written,
// or an error in it, is a failure of supervise's own, whatever the job's status was.
func (r *runner) finish(result *protocol.Record) int {
	if j := r.place.Job(); j != nil && j.Samples != nil {
		if err := j.Samples.DroppedError(); err != nil {
			r.Complain(err)
		}
	}
	if err := r.deliver(result); err != nil {
		r.Complain(err)
		return cli.ExitFailure
	}
	if result.Error != nil {
		r.Complain(errors.New(*result.Error))
		return cli.ExitFailure
	}
	return r.status(result)
}

// status turns a result into the exit status. At a terminal a job that was interrupted
// from the keyboard takes supervise, and the script that it is in, along: a shell goes on
// with a script unless the command died of SIGINT itself.
func (r *runner) status(result *protocol.Record) int {
	if left := result.LeftoversTotal; (left == nil || *left > 0) && r.c.leftovers == protocol.LeftoversFail {
		r.Complain(leftoversError(result))
		return cli.ExitFailure
	}
	e := result.Exit
	switch {
	case result.Cause == protocol.CauseTimeout || result.Cause == protocol.CauseCPUTimeout:
		return cli.ExitTimeout
	case e == nil:
		return cli.ExitFailure
	case r.cutShort() != 0:
		return cli.ExitSignal + int(r.cutShort())
	case e.Code != nil:
		return *e.Code
	}
	// The record has the name, as supervisor.NewExit wrote it.
	sig := signals.Number(*e.Signal)
	if r.terminal.interrupted(sig) || r.relay != nil && r.relay.key == sig {
		signals.DieOf(sig)
	}
	return cli.ExitSignal + int(sig)
}

// cutShort is the signal by which the job was ended while it waited for processes that had
// outlived the main process; 0: it was not. Then what the main process said does not count.
func (r *runner) cutShort() unix.Signal {
	if r.job == nil {
		return 0
	}
	if j := r.place.Job(); j != nil && j.OOMWhileWaiting() {
		return unix.SIGKILL
	}
	return r.job.CutShort()
}

// leftoversError names the processes that --leftovers=fail is about. The list in the
// record is bounded, and the rest is a number.
func leftoversError(result *protocol.Record) error {
	if result.LeftoversTotal == nil {
		return errors.New("the command left processes running that could not be listed, now killed")
	}
	names := ""
	for _, l := range result.Leftovers {
		names += fmt.Sprintf(" %s (%d)", cli.Printable(l.Comm), l.PID)
	}
	if more := *result.LeftoversTotal - len(result.Leftovers); more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("the command left %d running, now killed:%s", *result.LeftoversTotal, names)
}

// deliverFailed delivers the record of a job that never was, and returns why, and why the
// record could not be written if so.
func (r *runner) deliverFailed(err error) error {
	if e := r.deliver(r.failedRecord(err)); e != nil {
		return errors.Join(err, e)
	}
	return err
}

// startFailed reports a job that never was, by record, message and exit status, as a
// shell would: 127 if the command is not there, 126 if it cannot be executed. Below a
// server the error goes by the socket alone.
func (r *runner) startFailed(err error) int {
	if r.c.events >= 0 {
		nested.TellStarted(r.c.events, 0, err)
		return cli.ExitFailure
	}
	err = r.deliverFailed(err)
	status, complaint := program.NotStarted(r.c.argv[0], err)
	r.Complain(complaint)
	return status
}
