package serve

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A start is what a spawn has begun and not answered yet: the main process is there, but may not have executed
// its program. The loop goes on meanwhile, with other jobs and with further spawns:
//
//	spawn ──> start ──> execve ─────> answer, started, what was heard meanwhile
//	spawn ──────> start ──> execve ─────> answer, started, ...
//	kill ────────────────────────────────────> kill, answer
//
// Answers come in the order of the requests, and any other request waits for the starts before it.
type start struct {
	r     *request
	p     *plan
	j     *job            // nil: there is none, and err says why
	birth *guardian.Birth // nil: it is over
	err   error           // why the program could not be executed
	again bool            // it may be tried once more
	later []func()        // what was heard of the job meanwhile
}

// maxStarts is how many may be under way. More would not make them faster, and each takes memory.
const maxStarts = 8

// newStart has a start for a job whose main process was born just now. From here on it owns the
// request's descriptors.
func newStart(r *request, p *plan, j *job) *start {
	s := &start{r: r, p: p, j: j}
	if j.held != nil {
		s.birth = j.held.TakeBirth()
	}
	j.start = s
	return s
}

// begin answers when the main process has executed its program, if that is now or later.
func (v *server) begin(s *start) {
	v.starts = append(v.starts, s)
	if s.birth != nil {
		v.s.Inputs = append(v.s.Inputs, supervisor.Input{FD: s.birth.FD(), Read: func() bool {
			s.over(false)
			return false
		}})
	}
	v.answerStarts()
}

// over is called when the main process has executed its program, or is dead. If it could not execute
// it, the loop forgets the job, and the process is reaped here if the loop has not done so.
func (s *start) over(reaped bool) {
	if s.birth == nil {
		return
	}
	s.j.v.s.Drop(s.birth.FD())
	s.err, s.birth = s.birth.Wait(), nil
	if s.err == nil {
		s.closeFiles() // the answer may come later
		return
	}
	for err := error(unix.EINTR); !reaped && err == unix.EINTR; {
		_, err = unix.Wait4(s.j.pid, nil, 0, nil)
	}
	s.again = s.j.loop.State() == supervisor.Running
	s.j.loop.Release()
}

// closeFiles closes the job's descriptors, of which its main process has duplicates.
func (s *start) closeFiles() {
	wire.CloseAll(s.p.mine)
	wire.CloseAll(s.r.fds)
	s.p.mine, s.r.fds = nil, nil
}

// hear keeps what is heard of the job for later: the owner does not know it yet. The end of the main
// process is that of the start as well.
func (s *start) hear(e supervisor.Event) {
	if e.Kind == supervisor.StatusChanged && e.Status.PID() == s.j.pid && e.Status.Code().Ended() {
		s.over(true)
	}
	if s.err != nil {
		return
	}
	if e.Usage != nil {
		usage := *e.Usage
		e.Usage = &usage
	}
	s.later = append(s.later, func() { s.j.v.hear(e) })
}

// answerStarts answers those that are over and come before all others.
func (v *server) answerStarts() {
	for len(v.starts) > 0 && v.starts[0].birth == nil {
		s := v.starts[0]
		v.starts = slices.Delete(v.starts, 0, 1)
		s.answer()
	}
}

// answer answers the spawn. Of a program that could not be executed that may be for want of a line that
// names an interpreter, or because its main process could not enter the cgroup by itself: then it
// is tried once more, in the way in which it is waited for.
func (s *start) answer() {
	j, v := s.j, s.r.v
	if j == nil {
		s.r.reply(nil, s.err)
		return
	}
	if spec := s.p.spec; s.again && v.phase < closing && (s.err == unix.ENOEXEC || s.err == unix.EACCES) {
		if s.err == unix.ENOEXEC {
			spec = spec.Script()
		}
		j.held.Overlap = false
		if j.loop, s.err = v.s.StartProgram(spec); s.err == nil {
			j.pid = j.loop.PID()
		}
	}
	j.start = nil
	if s.err != nil {
		delete(v.dirs, j.held.Name())
		v.forget(j)
		j.abandon()
		s.p.close()
		s.r.reply(nil, s.p.commands[0].startError(s.err))
		if v.phase >= closing {
			v.answerShutters()
		}
		return
	}
	s.p.handOver(s.r)
	s.p.close()
	limits, unenforced := j.limits()
	s.r.reply(&protocol.SpawnResult{
		Job: j.number, PID: j.pid, Cgroup: j.path(), Limits: limits, Unenforced: unenforced, Pipes: s.p.pipes,
	}, nil)
	j.begun()
	for _, tell := range s.later {
		tell()
	}
}
