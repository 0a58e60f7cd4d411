package cgroup_test

import (
	"fmt"
	"log"
	"os"
	"syscall"

	"github.com/seed-c1490a04/supervise/cgroup"
)

func ExampleParseLimit() {
	limits, err := cgroup.ParseLimit("MemoryMax", "1.5G")
	if err != nil {
		log.Fatal(err)
	}
	for _, l := range limits.Complete() {
		fmt.Printf("%s: %s to %s\n", l, l.Value, l.File)
	}
	// Output:
	// MemoryMax=1.5G: 1610612736 to memory.max
	// MemoryMax=1.5G: 0 to memory.swap.max
	// MemoryMax=1.5G: 1 to memory.oom.group
}

// A program that runs one command in a cgroup of its own, and ends every process that the
// command left. It needs a cgroup in which it may create others.
func Example() {
	cgroup.Init()
	s, err := cgroup.Open()
	if err != nil {
		log.Fatal(err)
	}
	job, err := s.NewJob("sleep")
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Claim(job); err != nil {
		log.Fatal(err)
	}
	pid, err := job.Start("/bin/sleep", []string{"sleep", "1"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	if err != nil {
		log.Fatal(err)
	}
	if p, err := os.FindProcess(pid); err == nil {
		p.Wait()
	}
	if err := s.Destroy(); err != nil { // kills, waits and removes
		log.Fatal(err)
	}
}
