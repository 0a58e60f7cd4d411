package supervisor

import (
	"container/heap"
	"time"
)

// alarms are the jobs that wait for a moment, a heap by their next.
type alarms []*Job

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].next.Before(a[j].next) }

func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}

// Push implements heap.Interface.
func (a *alarms) Push(x any) {
	j := x.(*Job)
	j.place = len(*a)
	*a = append(*a, j)
}

// Pop implements heap.Interface.
func (a *alarms) Pop() any {
	last := len(*a) - 1
	j := (*a)[last]
	j.place = -1
	(*a)[last] = nil
	*a = (*a)[:last]
	return j
}

// alarm is to be called when a deadline of the job has changed.
func (s *Supervisor) alarm(j *Job) {
	j.next = time.Time{}
	for _, at := range [...]time.Time{j.until, j.meter, j.tick} {
		if !at.IsZero() && (j.next.IsZero() || at.Before(j.next)) {
			j.next = at
		}
	}
	switch {
	case j.next.IsZero() && j.place >= 0:
		heap.Remove(&s.alarms, j.place)
	case j.next.IsZero():
	case j.place >= 0:
		heap.Fix(&s.alarms, j.place)
	default:
		heap.Push(&s.alarms, j)
	}
}

// expire handles every deadline that has passed by now.
func (s *Supervisor) expire() {
	if len(s.alarms) == 0 {
		return
	}
	for now := time.Now(); len(s.alarms) > 0 && !s.alarms[0].next.After(now); {
		j := s.alarms[0]
		if hasPassed(j.until, now) {
			j.until = time.Time{}
			s.alarm(j)
			j.expire()
		}
		if hasPassed(j.meter, now) {
			j.meterCPU()
		}
		if hasPassed(j.tick, now) {
			j.sample()
		}
	}
}

func hasPassed(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }
