package resident

import (
	"runtime"
	"sync"
)

const (
	goProcs      = 2 // processors that Go's runtime uses; the loop needs one, the garbage collector may have another
	spareThreads = 4 // for these, for a thread that waits in a system call, and for some on their way to sleep
)

// ReserveThreads has Go's runtime start what threads it may want, while there is room
// for them: where a limit on processes is reached (RLIMIT_NPROC, pids.max), it aborts
// the program if it wants one more ("newosproc"). Threads that have nothing to do stay.
func ReserveThreads() {
	runtime.GOMAXPROCS(min(goProcs, runtime.GOMAXPROCS(0)))
	var started sync.WaitGroup
	release := make(chan struct{})
	for range spareThreads {
		started.Add(1)
		go func() {
			runtime.LockOSThread() // each on its own, at the same time
			started.Done()
			<-release
			runtime.UnlockOSThread() // else the thread would end as well
		}()
	}
	started.Wait()
	close(release)
}
