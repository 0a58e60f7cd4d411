package limits

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The jobs are this test binary, executed anew with workEnv set.

const workEnv = "SUPERVISE_TEST_WORK"

func TestMain(m *testing.M) {
	if words, ok := os.LookupEnv(workEnv); ok {
		if err := doWork(strings.Fields(words)); err != nil {
			fmt.Fprintln(os.Stderr, "work:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func doWork(words []string) error {
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return err
	}
	switch words[0] {
	case "burn": // threads, milliseconds of processor time each
		ms, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		return burn(n, time.Duration(ms)*time.Millisecond)
	case "spin": // milliseconds of wall time
		for end := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(end); {
		}
		return nil
	}
	return fmt.Errorf("no work %q", words[0])
}

// burn has threads use processor time, all together, and prints what the process has used.
func burn(threads int, each time.Duration) error {
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			runtime.LockOSThread()
			var now unix.Timespec
			for unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now) == nil && now.Nano() < int64(each) {
			}
		})
	}
	all.Wait()
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &u)
	fmt.Println(float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9)
	return err
}
