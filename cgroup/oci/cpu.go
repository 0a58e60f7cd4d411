package oci

import (
	"strings"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Microseconds that the kernel takes (kernel/sched/core.c: min_cfs_quota_period,
// max_cfs_quota_period and max_cfs_runtime), and its default.
const (
	leastPeriod   = 1_000
	mostPeriod    = 1_000_000
	mostRuntime   = 1<<44 - 1
	defaultPeriod = 100_000
)

// cpu converts. containerd's ToResources drops a quota without a period, burst and
// idle, so that only its scale for shares and its format of cpu.max are of use.
func (c *conversion) cpu(r *specs.LinuxCPU) {
	if weight := cgroup2.ConvertCPUSharesToCgroupV2Value(value(r.Shares)); weight != 0 {
		c.add("cpu.shares", "cpu.weight", decimal(weight))
	}
	c.quota(r)
	c.burst(r)
	c.absent("cpu.realtimeRuntime", value(r.RealtimeRuntime) != 0)
	c.absent("cpu.realtimePeriod", value(r.RealtimePeriod) != 0)
	c.list("cpu.cpus", "cpuset.cpus", r.Cpus)
	c.list("cpu.mems", "cpuset.mems", r.Mems)
	// After the weight: one cannot be written to a cgroup that is idle.
	if r.Idle != nil && check(c, "cpu.idle", *r.Idle, 0, 1) {
		c.add("cpu.idle", "cpu.idle", decimal(*r.Idle))
	}
}

func (c *conversion) quota(r *specs.LinuxCPU) {
	quota, period, field := value(r.Quota), value(r.Period), "cpu.quota"
	if quota == 0 {
		if period == 0 {
			return
		}
		field = "cpu.period"
	}
	if period == 0 {
		period = defaultPeriod
	}
	var limited *int64 // nil is no limit
	if quota != 0 && quota != -1 {
		limited = &quota
		check(c, field, quota, leastPeriod, mostRuntime)
	}
	check(c, "cpu.period", period, leastPeriod, mostPeriod)
	c.add(field, "cpu.max", string(cgroup2.NewCPUMax(limited, &period)))
}

// burst is what a period may use of what earlier ones left over (Linux 5.14).
func (c *conversion) burst(r *specs.LinuxCPU) {
	if r.Burst == nil {
		return
	}
	most := uint64(mostRuntime)
	if quota := value(r.Quota); quota > 0 {
		most = uint64(max(0, min(quota, mostRuntime-quota))) // what can be saved up in a period, and their sum
	}
	if check(c, "cpu.burst", *r.Burst, 0, most) {
		c.add("cpu.burst", "cpu.max.burst", decimal(*r.Burst))
	}
}

// list takes numbers of CPUs or memory nodes as they are: the kernel has more ways of
// writing them (cpuset(7), "Formats") than we would want to judge.
func (c *conversion) list(field, file, list string) {
	if list = strings.TrimSpace(list); list == "" {
		return
	}
	if strings.Trim(list, "0123456789,-:/ ") != "" {
		c.refuse(field, "%q is not a list such as 0-3,8", list)
	}
	c.add(field, file, list)
}
