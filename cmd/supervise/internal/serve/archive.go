package serve

import (
	"slices"

	"github.com/seed-c1490a04/supervise/protocol"
)

// maxKeptOutput is how many bytes of output are kept of all jobs together; keptCost is what
// one that has ended counts beside its bytes.
const (
	maxKeptOutput = 256 << 20
	keptCost      = 1 << 10
)

// An archive is what is kept of the jobs that have ended, and how much is promised to those
// that run. What ended first goes first when there is no room.
type archive struct {
	jobs     map[int][]*kept
	order    []int // numbers of jobs, in the order of their ends
	promised int64 // bytes, to running jobs
	stored   int64 // bytes, of ended ones
}

// reserve promises bytes to a job. It says whether there was room. Once the job is started,
// makeRoom drops what stands in the way of old ones.
func (a *archive) reserve(n int64) bool {
	if a.promised+n > maxKeptOutput {
		return false
	}
	a.promised += n
	return true
}

// makeRoom forgets jobs until there is room.
func (a *archive) makeRoom() {
	for len(a.order) > 0 && a.promised+a.stored > maxKeptOutput {
		a.forget(a.order[0])
	}
}

// release takes a promise back.
func (a *archive) release(n int64) { a.promised -= n }

// store keeps what a job has left, at its size.
func (a *archive) store(number int, all []*kept) {
	for _, k := range all {
		a.release(k.most)
		k.ended, k.ring = true, slices.Clip(slices.Clone(k.ring))
		a.stored += k.size() + keptCost
	}
	if len(all) > 0 {
		a.jobs[number] = all
		a.order = append(a.order, number)
		a.makeRoom()
	}
}

// forget drops what is kept of a job.
func (a *archive) forget(number int) {
	for _, k := range a.jobs[number] {
		a.stored -= k.size() + keptCost
	}
	delete(a.jobs, number)
	// The oldest go one after the other to make room, and there may be very many.
	if len(a.order) > 0 && a.order[0] == number {
		a.order = a.order[1:]
		return
	}
	a.order = slices.DeleteFunc(a.order, func(n int) bool { return n == number })
}

// numbers are those of the jobs, in the order of their ends.
func (a *archive) numbers() []int { return append([]int{}, a.order...) }

// forget is the method: it gives -32004 if nothing is kept of such a job that has ended.
func (r *request) forget() (any, error) {
	var p protocol.JobParams
	if err := r.params(&p); err != nil {
		return nil, err
	}
	if r.v.archive.jobs[p.Job] == nil {
		return nil, failure(protocol.CodeNoJob, "job", "nothing is kept of a job %d that has ended", p.Job)
	}
	r.v.archive.forget(p.Job)
	return struct{}{}, nil
}
