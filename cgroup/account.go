package cgroup

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// An Account holds a job's final numbers and its OOM cause. A part that could not be read is
// nil, or OOMUnknown.
type Account struct {
	Stats *Stats
	OOM   OOM
}

// OOMKills is how often the kernel has killed one of the job (memory.events, oom_kill): of a
// group that may be more than there were processes. It is 0 without the memory controller.
func (a *Account) OOMKills() uint64 {
	if a.Stats == nil || a.Stats.Memory == nil || a.Stats.Memory.Events == nil || a.Stats.Memory.Events.OOMKill == nil {
		return 0
	}
	return *a.Stats.Memory.Events.OOMKill
}

// Account reads the account of a job. Call it when the job is empty and before Close, which
// removes the counters. For spared see Cause.
func (w *OOMWatch) Account(spared bool) *Account {
	w.job.s.flush()
	return w.account(spared, w.aboveAtEnd)
}

// Accounts reads the accounts of many jobs of one session, in the same order. All are empty,
// so that one reading of the counters above serves for all. It uses runtime.GOMAXPROCS threads:
// nearly all of the time is the kernel's, for opening and closing files. Removing cgroups in
// several threads gains nothing, as the kernel holds one lock (Linux 6.18).
func Accounts(watches []*OOMWatch) []*Account {
	if len(watches) == 0 {
		return nil
	}
	accounts := make([]*Account, len(watches))
	first := watches[0]
	above := sync.OnceValues(first.readAbove)
	var next atomic.Int64
	read := func() {
		for i := next.Add(1) - 1; i < int64(len(watches)); i = next.Add(1) - 1 {
			w, readAbove := watches[i], above
			if w.ofMemory() != first.ofMemory() {
				readAbove = w.readAbove
			}
			accounts[i] = w.account(false, readAbove)
		}
	}
	first.job.s.flush()
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(watches)) - 1 {
		others.Go(read)
	}
	read()
	others.Wait()
	return accounts
}

func (w *OOMWatch) account(spared bool, readAbove func() (oomReading, error)) *Account {
	a := &Account{}
	a.Stats, _ = w.job.stats()
	a.OOM, _ = w.cause(spared, readAbove)
	w.job.main.close() // there may be thousands
	return a
}
