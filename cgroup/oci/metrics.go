package oci

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/containerd/cgroups/v3/cgroup2/stats"
)

// always are the parts that have numbers without their controller: cpu.stat and the
// pressures. Of io there is an empty list of devices then.
const always = cgroup2.StatCPU | cgroup2.StatIO

// masks are the other parts of Metrics by their controller.
var masks = map[string]cgroup2.StatMask{
	"pids":    cgroup2.StatPids,
	"memory":  cgroup2.StatMemory | cgroup2.StatMemoryEvents,
	"rdma":    cgroup2.StatRdma,
	"hugetlb": cgroup2.StatHugetlb,
}

// Metrics reads the numbers of the cgroup in a directory as containerd's protobuf,
// which is for programs that know it; [cgroup.Job.Stats] has more, and is the one to
// trust. The part of a controller that the cgroup does not have is nil. But
// protobuf has no null, so that a single number for which the kernel has no file is 0
// (memory.peak before Linux 5.19, memory.swap.peak before 6.5, and without the cpu
// controller the periods).
func Metrics(directory string) (*stats.Metrics, error) {
	m, err := cgroup2.Load("/", cgroup2.WithMountpoint(directory))
	if err != nil {
		return nil, err
	}
	if _, err := m.GetType(); errors.Is(err, fs.ErrNotExist) { // the root has no type, nor most of the files
		return nil, fmt.Errorf("%s is not a cgroup v2 directory below the root", directory)
	}
	controllers, err := m.Controllers()
	if err != nil {
		return nil, err
	}
	mask := always
	for _, c := range controllers {
		mask |= masks[c]
	}
	metrics, err := m.StatFiltered(mask)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of %s: %w", directory, err)
	}
	// containerd takes a file that is not there for a 0; so would it all if the
	// cgroup was removed meanwhile.
	if _, err := m.Controllers(); err != nil {
		return nil, fmt.Errorf("reading the metrics of %s: %w", directory, err)
	}
	return metrics, nil
}
