package supervisor

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// The model: the loop runs in a world of fakes, in which anything happens in any order, and a plain reference says what it has
// to tell. A million steps:
//
//	go test -count=1 -run TestModel ./cmd/supervise/internal/supervisor -model.steps 1000000

var (
	modelSteps = flag.Int("model.steps", 0, "of the model; 0: for some seconds")
	modelSeed  = flag.Uint64("model.seed", 0, "of the first round of the model; 0: any")
)

// roundSteps is how long a round is: then all ends.
const roundSteps = 2000

func TestModel(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	most := 10 * time.Second
	if testing.Short() {
		most = 3 * time.Second
	}
	real := kernel
	defer func() { kernel = real }()
	began, steps, jobs := time.Now(), 0, 0
	for more := true; more && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed)
			m.run()
			steps, jobs = steps+m.steps, jobs+m.ends
		})
		if more = steps < *modelSteps; *modelSteps == 0 {
			more = time.Since(began) < most
		}
	}
	t.Logf("%d steps, %d jobs; the last round had -model.seed=%d", steps, jobs, seed-1)
}

type model struct {
	*world
	t       *testing.T
	seed    uint64
	s       *Supervisor
	jobs    map[int]*reference // by main process; those that have not ended
	keys    int
	stalled bool      // the owner takes nothing
	stall   time.Time // when it last did
	steps   int
	idle    int // waits in a row in which nothing happened
	ends    int
	stuck   bool // something could not be killed
	log     []string
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, seed: seed, jobs: map[int]*reference{}}
	m.world = &world{r: rand.New(rand.NewPCG(seed, 1)), blocked: func() bool { return m.stalled }, broken: m.broken}
	m.s = &Supervisor{
		Signals: caught, Tell: m.hear, Sweep: m.sweep, Inputs: []Input{{FD: ownerFD, Read: m.ask}},
		Serving: Serving{Blocked: m.world.blocked, More: func() bool { return !m.calm || len(m.jobs) > 0 }},
		Strays:  m.strays, Watch: m.watch, Trace: m.trace,
	}
	if m.chance(50) {
		m.s.KillAll = m.killAll
	}
	kernel.waitid, kernel.kill, kernel.ppoll = m.waitid, m.kill, m.ppoll
	return m
}

func (m *model) broken(format string, args ...any) {
	m.t.Helper()
	if !m.t.Failed() {
		m.t.Errorf("-model.seed=%d, step %d: %s\n%v", m.seed, m.steps, fmt.Sprintf(format, args...), m.log[max(0, len(m.log)-30):])
	}
}

func (m *model) note(format string, args ...any) {
	m.log = append(m.log[max(0, len(m.log)-60):], "\n"+time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (m *model) trace(e TraceEvent) { m.note("loop: %s %d", e.What, e.Job-firstPID) }

func (m *model) run() {
	m.s.Run()
	for pid := range m.jobs {
		m.broken("job %d has never ended", pid-firstPID)
	}
	if len(m.handed) > 0 {
		m.broken("never told: %v", m.handed)
	}
	for _, b := range m.live {
		if !b.dead && !b.hangs && !m.stuck {
			m.broken("process %d lives on", b.pid-firstPID)
		}
	}
}

// strays lists what is in no containment.
func (m *model) strays() (pids []int, err error) {
	for _, b := range m.live {
		if b.in == nil && !b.dead {
			pids = append(pids, b.pid)
		}
	}
	return pids, nil
}

// killAll kills what is in any containment, or nothing.
func (m *model) killAll() error {
	if !m.calm && m.chance(10) {
		return errPassing
	}
	for _, pid := range m.pids() {
		m.jobs[pid].held.killAll()
	}
	return nil
}

func (m *model) watch(c Containment) (Watcher, int, error) {
	if m.chance(5) {
		return nil, 0, errPassing
	}
	m.keys++
	c.(*enclosure).key = m.keys
	return notices{m.world}, m.keys, nil
}

// ppoll is where the world moves.
func (m *model) ppoll(fds []unix.PollFd, timeout *unix.Timespec, _ *unix.Sigset_t) (int, error) {
	m.check()
	if m.t.Failed() && !m.calm {
		m.steps = roundSteps
	}
	var left *unix.Timespec
	if timeout != nil {
		left = new(*timeout)
	}
	for {
		if m.steps++; m.steps > roundSteps {
			m.calmDown()
		}
		if m.steps > 50*roundSteps {
			m.t.Fatalf("-model.seed=%d: the loop does not come to an end: %v", m.seed, m.log)
		}
		m.step()
		if m.chance(1) {
			m.chld = false // the loop looks nevertheless
			return -1, unix.EINTR
		}
		if n := m.ready(fds); n > 0 {
			return n, nil
		}
		if m.chance(30) || m.calm {
			if left == nil && m.calm && !m.stalled && !m.asked && len(m.hints) == 0 {
				m.asleep()
			}
			if m.sleep(left) {
				return m.ready(fds), nil
			}
		}
	}
}

// asleep is called when nothing would wake the loop but a process that does something by itself.
func (m *model) asleep() {
	if len(m.changes) > 0 {
		m.broken("asleep for ever, and %v is not waited for", m.changes)
		m.chld = true
	}
	if m.idle++; m.idle > 1000 {
		m.t.Fatalf("-model.seed=%d: asleep for ever, with %d jobs: %v", m.seed, len(m.jobs), m.log)
	}
}

// step is one thing that happens.
func (m *model) step() {
	switch dice := m.r.IntN(100); {
	case dice < 60:
		m.happen()
	case dice < 80:
		m.asked = m.asked || !m.calm
	case dice < 85:
		if m.stalled = !m.stalled && !m.calm; !m.stalled {
			m.asked, m.stall = true, time.Now() // the front end is woken when there is room again
		}
	}
}

// calmDown ends the round: the owner reads, and has all jobs ended.
func (m *model) calmDown() {
	if !m.calm {
		m.note("calm")
		m.calm, m.stalled, m.asked, m.stall = true, false, true, time.Now()
	}
}

// ask is what the owner does.
func (m *model) ask() bool {
	m.asked = false
	if m.calm {
		m.end(nil)
		return true
	}
	var ref *reference
	if pids := m.pids(); len(pids) > 0 {
		ref = m.jobs[pids[m.r.IntN(len(pids))]]
	}
	switch dice := m.r.IntN(100); {
	case dice < 45 && len(m.jobs) < 8:
		m.start()
	case ref == nil:
	case dice < 60:
		m.end(ref)
	case dice < 75 && ref.job.State() <= Stopping:
		m.note("stop %d", ref.job.main-firstPID)
		ref.because(protocol.CauseKilled)
		ref.job.Stop(protocol.CauseKilled, unix.SIGTERM, time.Duration(m.r.IntN(3))*time.Second)
	case dice < 80:
		ref.job.signal([]unix.Signal{unix.SIGTERM, unix.SIGSTOP, unix.SIGCONT, unix.SIGUSR1}[m.r.IntN(4)])
	case dice == 99:
		m.end(nil)
	}
	return true
}

func (m *model) pids() (pids []int) {
	for pid := range m.jobs {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}

func (m *model) start() {
	h := &enclosure{w: m.world}
	spec := Spec{
		Containment: h, Path: "/bin/x", Signal: unix.SIGTERM, Grace: time.Duration(m.r.IntN(2)) * time.Second,
		Leftovers: []protocol.Leftovers{"", protocol.LeftoversKill, protocol.LeftoversWait, protocol.LeftoversFail}[m.r.IntN(4)],
		Timeout:   time.Duration(m.r.IntN(4)) * 2 * time.Second,
	}
	j, err := m.s.Start(spec)
	if err != nil {
		return
	}
	m.note("start %d, %s, timeout %v, grace %v", j.main-firstPID, spec.Leftovers, spec.Timeout, spec.Grace)
	ref := &reference{job: j, held: h}
	if spec.Timeout > 0 {
		ref.deadline = time.Now().Add(spec.Timeout)
	}
	m.jobs[j.main] = ref
}

// end ends a job, or all, at once, whatever the owner reads.
func (m *model) end(ref *reference) {
	list := []*reference{ref}
	if ref == nil {
		list = nil
		for _, pid := range m.pids() {
			list = append(list, m.jobs[pid])
		}
	}
	kills := map[*reference]int{}
	for _, r := range list {
		if r.job.State() < Killing {
			kills[r] = r.held.kills + 1
		}
		r.because(protocol.CauseKilled)
	}
	m.note("end of %d jobs", len(list))
	if ref != nil {
		ref.job.End(protocol.CauseKilled, nil)
	} else {
		m.s.End(protocol.CauseKilled, nil)
	}
	for r, n := range kills {
		if r.held.kills < n {
			m.broken("job %d was not killed at once", r.job.main-firstPID)
		}
	}
}
