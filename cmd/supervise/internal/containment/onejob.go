package containment

import (
	"errors"
	"syscall"
	"time"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// What the loop asks of the place of one job, which is that job's containment.

// Start implements supervisor.Containment.
func (p *Place) Start(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	if p.session == nil && p.fostered != nil {
		pid, err = signals.StartCatching(p.raise, path, argv, attr)
	} else {
		pid, err = p.Containment.Start(path, argv, attr)
	}
	if err == nil && (attr.Sys.Setpgid && attr.Sys.Pgid == 0 || attr.Sys.Setsid) {
		p.Tree.Group = pid
	}
	return pid, err
}

// Hold implements supervisor.Holder: in the fallback Kill would begin with it anyway; to
// freeze a cgroup costs more than to kill it.
func (p *Place) Hold() (held bool, err error) {
	if p.job != nil {
		return false, nil
	}
	err = p.Tree.Hold()
	return err == nil, err
}

// Procs implements supervisor.Lister.
func (p *Place) Procs() ([]int, error) { return p.Containment.(supervisor.Lister).Procs() }

// CPU implements supervisor.Accountant.
func (p *Place) CPU() (user, system uint64, err error) {
	if p.job == nil {
		return 0, 0, errors.ErrUnsupported
	}
	return p.job.CPU()
}

// Sample implements supervisor.Sampler.
func (p *Place) Sample(at time.Time) {
	if p.job != nil {
		p.job.Sample(at)
	}
}

// Waits implements supervisor.Waiter.
func (p *Place) Waits() {
	if p.job != nil {
		p.job.Waits()
	}
}

// Record implements supervisor.Recorder.
func (p *Place) Record(r *protocol.Record, unkilled bool) {
	r.ContainmentReason, r.Unenforced = record.Optional(p.Reason()), append(r.Unenforced, p.unenforced...)
	if p.job != nil {
		p.job.Record(r, unkilled)
	} else if p.oomWatch != nil {
		o, _ := p.oomWatch.Cause(unkilled)
		record.SetOOM(r, o)
	}
}

// CountAround has the record say whether anything was killed for want of memory in a job
// without a cgroup, by the counters around it. It is called before the job's start.
func (p *Place) CountAround() {
	if p.job == nil {
		p.oomWatch, _ = cgroup.WatchOOMAround() // without it, that is not known
	}
}
