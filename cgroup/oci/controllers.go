package oci

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// devices lets through what allows everything, which is how a job runs anyway.
func (c *conversion) devices(rules []specs.LinuxDeviceCgroup) {
	for i, r := range rules {
		if !isAllowAll(r) {
			c.refuse(fmt.Sprintf("devices[%d]", i), "access to devices is not limited here, for that takes eBPF: leave \"devices\" out")
		}
	}
}

func isAllowAll(r specs.LinuxDeviceCgroup) bool {
	isAny := func(number *int64) bool { return number == nil || *number == -1 }
	return r.Allow && (r.Type == "" || r.Type == "a") && isAny(r.Major) && isAny(r.Minor) &&
		(r.Access == "" || strings.ContainsRune(r.Access, 'r') && strings.ContainsRune(r.Access, 'w') && strings.ContainsRune(r.Access, 'm'))
}

// maxTasks is the kernel's PID_MAX_LIMIT, the most that pids.max takes.
const maxTasks = 4 << 20

func (c *conversion) pids(limit int64) {
	if limit <= 0 {
		limit = -1
	}
	if check(c, "pids.limit", limit, -1, maxTasks) {
		c.add("pids.limit", "pids.max", decimal(limit))
	}
}

var pageSize = regexp.MustCompile(`^[1-9][0-9]*[KMG]B$`)

// hugepages limits usage. The limits of reservations (hugetlb.*.rsvd.max) can be
// given by "unified".
func (c *conversion) hugepages(limits []specs.LinuxHugepageLimit) {
	for i, l := range limits {
		field := fmt.Sprintf("hugepageLimits[%d]", i)
		if !pageSize.MatchString(l.Pagesize) {
			c.refuse(field+".pageSize", "%q is not a size such as 2MB", l.Pagesize)
		}
		c.add(field, "hugetlb."+l.Pagesize+".max", decimal(l.Limit))
	}
}

func (c *conversion) network(r *specs.LinuxNetwork) {
	c.absent("network.classID", value(r.ClassID) != 0)
	c.absent("network.priorities", len(r.Priorities) > 0)
}

// rdma writes only the keys that are given: the others keep the kernel's "max".
func (c *conversion) rdma(devices map[string]specs.LinuxRdma) {
	for _, device := range slices.Sorted(maps.Keys(devices)) {
		field, line, r := fmt.Sprintf("rdma[%q]", device), device, devices[device]
		if r.HcaHandles != nil {
			line += fmt.Sprintf(" hca_handle=%d", *r.HcaHandles)
		}
		if r.HcaObjects != nil {
			line += fmt.Sprintf(" hca_object=%d", *r.HcaObjects)
		}
		switch {
		case device == "" || strings.ContainsFunc(device, isBlank):
			c.refuse(field, "that is no name of a device")
		case line == device:
			c.refuse(field, "it has neither hcaHandles nor hcaObjects")
		}
		c.add(field, "rdma.max", line)
	}
}

// isBlank knows what no name has.
func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }

// unified passes files of cgroup v2 through, but for those by which a job is held.
// A value of several lines is several writes, for the kernel takes one at a time.
func (c *conversion) unified(files map[string]string) {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		field := fmt.Sprintf("unified[%q]", file)
		controller, rest, _ := strings.Cut(file, ".")
		switch {
		case controller == "" || rest == "" || strings.Contains(file, "/") || strings.ContainsFunc(file, isBlank):
			c.refuse(field, "that is no file of a controller")
		case controller == "cgroup" && !strings.HasPrefix(rest, "max.") && rest != "pressure":
			c.refuse(field, "of the files of the cgroup itself only cgroup.max.* and cgroup.pressure can be set")
		case strings.TrimSpace(files[file]) == "" || strings.ContainsRune(files[file], 0):
			c.refuse(field, "%q is no value", files[file])
		}
		for line := range strings.Lines(files[file]) {
			if line = strings.TrimSpace(line); line != "" {
				c.add(field, file, line)
			}
		}
	}
}
