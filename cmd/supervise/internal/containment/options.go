// Package containment finds the place where this process holds its jobs, and holds them
// there: in cgroups of their own below a session, with a guardian over it, or by descent
// alone.
package containment

import (
	"time"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
)

// A Mode is what --contain asks for.
type Mode string

const (
	Auto      Mode = "auto"      // a cgroup, or else the fallback
	Cgroup    Mode = "cgroup"    // a cgroup, or an error
	Subreaper Mode = "subreaper" // the fallback: by descent alone
)

// Options say which place to take. The zero value of a field is its default.
type Options struct {
	Mode     Mode          // "": Auto
	Cgroup   string        // the only cgroup to use; "": any
	Slice    string        // a new scope in this slice of systemd's is the only place; "": none is named
	Leave    bool          // a new scope is the only place, whatever limit is left behind
	Patience time.Duration // how long the service manager is waited for
	Reason   string        // why Mode is Subreaper; "": it was asked for

	JobName    string        // of the one job, which is made at once; "": the caller makes jobs by NewJob
	Limits     cgroup.Limits // of the one job
	BestEffort bool          // a limit that cannot be had is no error
	Meter      bool          // the job's processor time is limited, which needs a cgroup
	Numbers    bool          // the record is to say what the job used

	Warn func(error) // gets what the caller's user should know; nil: warnings are dropped

	sentinel *guardian.Sentinel // posted when the manager was asked for a scope, for the place; nil: it was not
}

// leaves says whether the own cgroup is to be left whatever limits it.
func (o *Options) leaves() bool { return o.Leave || o.Slice != "" }

// wayOut is the flag that says so.
func (o *Options) wayOut() string {
	if o.Slice != "" {
		return "--slice"
	}
	return "--scope=new"
}

func (o *Options) warn(err error) {
	if o.Warn != nil {
		o.Warn(err)
	}
}
