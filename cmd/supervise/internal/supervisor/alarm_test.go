package supervisor

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAlarms: the first of the alarms is the earliest deadline of all, however they
// are set, changed and dropped.
func TestAlarms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := &Supervisor{}
	base := time.Now()
	moment := func() time.Time {
		if random.IntN(3) == 0 {
			return time.Time{}
		}
		return base.Add(time.Duration(random.IntN(1000)+1) * time.Second)
	}
	jobs := make([]*Job, 20)
	for i := range jobs {
		jobs[i] = &Job{s: s, place: -1}
	}
	for range 2000 {
		j := jobs[random.IntN(len(jobs))]
		j.until, j.meter, j.tick = moment(), moment(), moment()
		s.alarm(j)
		var first time.Time
		set := 0
		for _, j := range jobs {
			earliest := time.Time{}
			for _, at := range []time.Time{j.until, j.meter, j.tick} {
				if !at.IsZero() && (earliest.IsZero() || at.Before(earliest)) {
					earliest = at
				}
			}
			if earliest.IsZero() {
				continue
			}
			if set++; first.IsZero() || earliest.Before(first) {
				first = earliest
			}
		}
		if len(s.alarms) != set || set > 0 && !s.alarms[0].next.Equal(first) {
			t.Fatalf("%d alarms, want %d, the first at %v", len(s.alarms), set, first)
		}
	}
}

// TestExpire: one call handles all that is due, and nothing else.
func TestExpire(t *testing.T) {
	s := &Supervisor{}
	now := time.Now()
	c := func() *scripted { return &scripted{group: &group{t: t}, kill: func() error { return nil }} }
	running := &Job{Spec: Spec{Containment: c(), Signal: unix.SIGTERM, Grace: time.Hour}, s: s, place: -1, until: now}
	waiting := &Job{Spec: Spec{Containment: c(), Signal: unix.SIGTERM, Grace: time.Hour}, s: s, place: -1, until: now, state: Waiting}
	stopping := &Job{Spec: Spec{Containment: c()}, s: s, place: -1, until: now, state: Stopping}
	later := &Job{Spec: Spec{Containment: c()}, s: s, place: -1, until: now.Add(time.Hour)}
	for _, j := range []*Job{later, stopping, running, waiting} {
		s.alarm(j)
	}
	s.expire()
	for j, want := range map[*Job]State{running: Stopping, waiting: Stopping, stopping: Killing, later: Running} {
		if j.state != want || j.place < 0 {
			t.Errorf("%v, want %v; place %d", j.state, want, j.place)
		}
	}
	later.deadline(0)
	if later.place >= 0 || len(s.alarms) != 3 {
		t.Errorf("a deadline of 0 is one: %d alarms", len(s.alarms))
	}
}
