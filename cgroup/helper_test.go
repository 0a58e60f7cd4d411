package cgroup

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// Helpers are the programs of the tests' jobs: this test binary, run again. Each says "ready"
// when it has done its work, and then waits to be killed, or ends.
const helperEnv = "CGROUP_TEST_HELPER"

var helpers = map[string]func(n int){
	"burn":  burn,
	"clock": clock,
	"alloc": alloc,
	"write": write,

	"headless": headless,
}

func init() {
	if os.Getenv(helperEnv) == "headless" {
		runtime.LockOSThread() // the main goroutine, to the first thread
	}
}

// help is called by TestMain.
func help() {
	name := os.Getenv(helperEnv)
	if name == "" {
		return
	}
	f, ok := helpers[name]
	n, err := strconv.Atoi(os.Args[1])
	if !ok || err != nil {
		fmt.Fprintln(os.Stderr, "no such helper:", name, os.Args)
		os.Exit(1)
	}
	f(n)
	os.Exit(0)
}

// burn uses n milliseconds of CPU time, as this process's own clock has it.
func burn(n int) {
	for cpuTime() < time.Duration(n)*time.Millisecond {
	}
	fmt.Println("ready")
}

// clock computes for n milliseconds, as the wall's clock has it.
func clock(n int) {
	for end := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(end); {
	}
	fmt.Println("ready")
}

func cpuTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// alloc touches n MiB of memory and keeps it.
func alloc(n int) {
	b, err := unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	fmt.Println("ready")
	unix.Pause()
}

// write writes n MiB past the page cache to a file, which it removes.
func write(n int) {
	name := "/var/tmp/cgroup-test-" + strconv.Itoa(os.Getpid())
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_DIRECT, 0o600)
	if err != nil {
		panic(err)
	}
	os.Remove(name)
	b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS) // aligned
	if err != nil {
		panic(err)
	}
	for range n {
		if _, err := unix.Write(fd, b); err != nil {
			panic(err)
		}
	}
	unix.Fsync(fd)
	fmt.Println("ready")
}

// headless ends its first thread, and stays.
func headless(int) {
	go func() { // ends with the process
		for {
			if s, err := proc.ReadStat(os.Getpid()); err == nil && s.Headless() {
				break
			}
			runtime.Gosched()
		}
		fmt.Println("ready")
		unix.Pause()
	}()
	unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
}
