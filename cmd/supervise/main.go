// Supervise runs commands so that nothing they start can outlive them. See
// README.md, and "supervise help".
//
// Neither the number of processors that a cgroup grants nor the names of mappings
// matter to a process that sleeps, and to find them out costs start-up time.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
//go:debug decoratemappings=0
package main

import (
	"os"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/command"
)

// One thread does everything: signals to the process wake the one that sleeps in
// poll(2), and all children are that thread's. Go's runtime has init on the first thread
// alone; for main it would have to be asked, and would start another thread for that, which
// is a tenth of a millisecond.
func init() { os.Exit(command.Main()) }

func main() {}
