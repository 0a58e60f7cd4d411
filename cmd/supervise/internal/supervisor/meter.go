package supervisor

import (
	"errors"
	"runtime"
	"time"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/protocol"
)

// meterCPU stops the job if it has used up its processor time, which the kernel counts in
// microseconds: less than one left is none. Else it looks again when it may have, at the
// earliest: with all processors for itself. Short of the end it lets half a percent pass,
// so that a job which sleeps there does not wake us all the time.
func (j *Job) meterCPU() {
	j.meter = time.Time{}
	defer j.s.alarm(j)
	a, ok := j.Containment.(Accountant)
	if j.CPUTime == 0 || !ok || j.state > Waiting {
		return
	}
	user, system, err := a.CPU()
	if err != nil {
		j.End(protocol.CauseKilled, errors.Join(errors.New("the processor time cannot be metered"), err))
		return
	}
	left := j.CPUTime - time.Duration(user+system)*time.Microsecond
	if left < time.Microsecond {
		j.Stop(protocol.CauseCPUTimeout, j.Signal, j.Grace)
		return
	}
	slack := max(5*time.Millisecond, j.CPUTime/200)
	j.meter = time.Now().Add(max(left, slack) / time.Duration(processors()))
}

// sample has the containment looked at, and arranges for the next time: on the beat
// that the first one set, so that they do not drift. Beats that were missed are left
// out.
func (j *Job) sample() {
	last := j.tick
	j.tick = time.Time{}
	defer j.s.alarm(j)
	sampler, ok := j.Containment.(Sampler)
	if j.Every <= 0 || !ok || j.state == Ended {
		return
	}
	now := time.Now()
	sampler.Sample(now)
	if last.IsZero() {
		last = now
	}
	late := now.Sub(last) / j.Every
	j.tick = last.Add((late + 1) * j.Every)
}

// processors is how many a job can use: all that are online, for it may widen its
// affinity beyond ours.
func processors() int {
	b, _ := proc.ReadFile("/sys/devices/system/cpu/online", 0)
	if online, err := proc.ParseCPUList(string(b)); err == nil && len(online) > 0 {
		return online.Len()
	}
	return runtime.NumCPU()
}
