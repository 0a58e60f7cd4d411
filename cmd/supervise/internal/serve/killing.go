package serve

import (
	"encoding/json"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/protocol"
)

// maxKilled is how many processes are described that a kill has ended.
const maxKilled = 100

// A killing is a kill that is to be answered when nothing of the job is left.
type killing struct {
	waits  []json.RawMessage // ids of the requests
	killed []protocol.KilledProcess
	total  *int // nil: not known
}

// awaitEnd keeps the request, and has the processes listed that are there when the kill comes.
func (j *job) awaitEnd(r *request) error {
	if j.killing == nil {
		j.killing = &killing{killed: []protocol.KilledProcess{}}
		j.loop.BeforeKill = j.listKilled
	}
	v := r.v
	if err := r.keep(&j.killing.waits, v.waits >= maxWaits || v.kept >= maxKept); err != nil {
		return err
	}
	v.waits++
	return nil
}

// listKilled notes the processes of the job. What it reads no process can delay.
func (j *job) listKilled() {
	pids, err := j.procs()
	if err != nil {
		return
	}
	total := 0
	for i, pid := range pids {
		if i >= maxKilled {
			total++
			continue
		}
		stat, err := proc.ReadStat(pid)
		if err != nil || stat.Exiting() {
			continue // it has ended by itself
		}
		total++
		j.killing.killed = append(j.killing.killed, protocol.KilledProcess{PID: pid, Comm: string(stat.Comm)})
	}
	j.killing.total = &total
}

// procs lists the live processes of the job; of a nested one what is below its supervisor.
func (j *job) procs() ([]int, error) {
	if j.held != nil {
		return j.held.Procs()
	}
	return subreaper.Below(func() []int { return subreaper.Children(j.loop.PID()) }).Procs()
}

// answer answers the requests, after ended.
func (k *killing) answer(j *job, end *protocol.JobEnded) {
	if k == nil {
		return
	}
	if j.loop.BeforeKill != nil { // the job has ended by itself: nothing was killed
		k.total = new(0)
	}
	k.settle(j, &protocol.KillResult{JobEnded: *end, Killed: k.killed, KilledTotal: k.total}, nil)
}

// fail answers the requests with an error.
func (k *killing) fail(j *job, e *protocol.Error) {
	if k != nil {
		k.settle(j, nil, e)
	}
}

// settle answers the requests, once.
func (k *killing) settle(j *job, result any, e *protocol.Error) {
	j.v.waits -= len(k.waits)
	for _, id := range j.v.take(&k.waits) {
		j.v.answer(id, result, e, nil)
	}
}
