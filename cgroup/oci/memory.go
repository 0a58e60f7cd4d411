package oci

import (
	"math"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func (c *conversion) memory(r *specs.LinuxMemory) {
	c.bytes("memory.reservation", "memory.low", value(r.Reservation))
	c.bytes("memory.limit", "memory.max", value(r.Limit))
	c.swap(value(r.Swap), value(r.Limit))
	c.absent("memory.kernel", value(r.Kernel) > 0) //nolint:staticcheck // deprecated, but not to be dropped silently
	c.absent("memory.kernelTCP", value(r.KernelTCP) > 0)
	c.absent("memory.swappiness", r.Swappiness != nil)
	c.absent("memory.disableOOMKiller", value(r.DisableOOMKiller))
	// v2 is always hierarchical. To check before an update is of no consequence: a
	// job has used nothing when it is given its limits.
	c.absent("memory.useHierarchy", r.UseHierarchy != nil && !*r.UseHierarchy)
}

func (c *conversion) bytes(field, file string, n int64) {
	if n != 0 && check(c, field, n, -1, math.MaxInt64) {
		c.add(field, file, decimal(n))
	}
}

// swap subtracts: v1 limits the sum of memory and swap, v2 swap by itself.
// containerd's ToResources subtracts from -1 as well.
func (c *conversion) swap(sum, memory int64) {
	const field, file = "memory.swap", "memory.swap.max"
	switch {
	case sum <= 0 || memory < 0: // unset, no limit, or nothing to subtract
		c.bytes(field, file, sum)
	case memory == 0:
		c.refuse(field, "it is the sum of memory and swap, and there is no memory.limit")
	case sum < memory:
		c.refuse(field, "%d is less than memory.limit, which it includes", sum)
	default:
		c.add(field, file, decimal(sum-memory))
	}
}
