package oci

import (
	"fmt"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func (c *conversion) blockIO(r *specs.LinuxBlockIO) {
	if w := value(r.Weight); w != 0 {
		c.add("blockIO.weight", "io.weight", c.weight("blockIO.weight", w))
	}
	c.absent("blockIO.leafWeight", value(r.LeafWeight) != 0)
	for i, d := range r.WeightDevice {
		field := fmt.Sprintf("blockIO.weightDevice[%d]", i)
		c.device(field, d.Major, d.Minor)
		c.absent(field+".leafWeight", value(d.LeafWeight) != 0)
		if w := value(d.Weight); w != 0 {
			c.add(field, "io.weight", fmt.Sprintf("%d:%d %s", d.Major, d.Minor, c.weight(field+".weight", w)))
		}
	}
	c.throttle("throttleReadBpsDevice", cgroup2.ReadBPS, r.ThrottleReadBpsDevice)
	c.throttle("throttleWriteBpsDevice", cgroup2.WriteBPS, r.ThrottleWriteBpsDevice)
	c.throttle("throttleReadIOPSDevice", cgroup2.ReadIOPS, r.ThrottleReadIOPSDevice)
	c.throttle("throttleWriteIOPSDevice", cgroup2.WriteIOPS, r.ThrottleWriteIOPSDevice)
}

// weight stretches the 10 to 1000 of v1 to the 1 to 10000 of v2, linearly as runc
// and crun do. (containerd's ToResources does so in 16 bits, where it overflows.)
func (c *conversion) weight(field string, w uint16) string {
	check(c, field, uint64(w), 10, 1000)
	return decimal(1 + (uint64(w)-10)*9999/990)
}

// throttle adds a limit per device: each write to io.max changes only the keys
// that are in it.
func (c *conversion) throttle(list string, kind cgroup2.IOType, devices []specs.LinuxThrottleDevice) {
	for i, d := range devices {
		field := fmt.Sprintf("blockIO.%s[%d]", list, i)
		c.device(field, d.Major, d.Minor)
		if d.Rate == 0 { // ERANGE
			c.refuse(field+".rate", "a rate of 0 would stop the device")
		}
		c.add(field, "io.max", cgroup2.Entry{Type: kind, Major: d.Major, Minor: d.Minor, Rate: d.Rate}.String())
	}
}

// device checks against the widths of the kernel's dev_t.
func (c *conversion) device(field string, major, minor int64) {
	check(c, field+".major", major, 0, 1<<12-1)
	check(c, field+".minor", minor, 0, 1<<20-1)
}
