package cgroup

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// LeftBehind lists the limits that hold for a process in one cgroup, and would not in
// another: those of every cgroup from the first up to, and without, the common ancestor, as
// "memory.max of /a/b". The paths are as in /proc/self/cgroup. A controller of cgroup v1 is
// not looked at.
//
// TasksMax= of systemd is no limit of the unit's own where it is what the manager gives to
// every unit, the new one included (DefaultTasksMax=).
func LeftBehind(from, to string) (limits []string, err error) {
	here, err := locate()
	if err != nil {
		return nil, err
	}
	return here.mount.leftBehind(from, to)
}

func (m mount) leftBehind(from, to string) (limits []string, err error) {
	common := commonAncestor(from, to)
	for at := from; at != common; at = path.Dir(at) {
		p, ok := m.below(at)
		if !ok {
			return []string{"what is set above " + m.root}, nil
		}
		d, err := openDir(p)
		if err != nil {
			return nil, err
		}
		names, err := d.limits()
		d.close()
		if err != nil {
			return nil, err
		}
		for _, name := range append(names, unitLimits(at)...) {
			limits = append(limits, name+" of "+at)
		}
	}
	return limits, nil
}

// commonAncestor returns the deepest cgroup that both are in or below, one of them
// included.
func commonAncestor(a, b string) string {
	for !isBelow(strings.TrimSuffix(a, "/"), b) {
		a = path.Dir(a)
	}
	return a
}

// bpfSettings are the settings of a unit that systemd enforces by programs of BPF, of which
// the cgroup's files show nothing (systemd.resource-control(5), systemd.exec(5)).
var bpfSettings = []string{
	"IPAddressAllow", "IPAddressDeny", "IPIngressFilterPath", "IPEgressFilterPath", "SocketBindAllow", "SocketBindDeny",
	"RestrictNetworkInterfaces", "RestrictFileSystems", "BPFProgram", "DevicePolicy", "DeviceAllow", "NFTSet",
}

// unitLimits returns those that a unit's files have: the file of a transient unit, as every
// scope is, and those that "systemctl set-property" has written.
func unitLimits(unit string) (names []string) {
	file := transientFile(unit)
	if file == "" {
		return nil
	}
	files := []string{file}
	for _, dir := range []string{file + ".d", "/run/systemd/system.control/" + path.Base(unit) + ".d", "/etc/systemd/system.control/" + path.Base(unit) + ".d"} {
		files = append(files, dropIns(dir)...)
	}
	for _, f := range files {
		text, _ := readFile(f)
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if slices.Contains(bpfSettings, name) && value != "" && value != "auto" && !slices.Contains(names, name+"=") {
				names = append(names, name+"=")
			}
		}
	}
	return names
}

// limitFiles returns the files that limit, by controller, and what they say where there is no
// limit ("Cgroup v2", Documentation/admin-guide/cgroup-v2.rst). Weights are no limits.
func limitFiles() map[string][]string {
	return map[string][]string{
		"memory": {"memory.max", "memory.high", "memory.swap.max", "memory.swap.high", "memory.zswap.max"},
		"pids":   {"pids.max"},
		"cpu":    {"cpu.max", "cpu.uclamp.max"},
		"rdma":   {"rdma.max"},
		"misc":   {"misc.max"},
		"cpuset": {"cpuset.cpus", "cpuset.mems"},
		"io":     {"io.max"},
		// Every cgroup has these two.
		"cgroup": {"cgroup.max.descendants", "cgroup.max.depth"},
		// For the sizes of pages of amd64 and arm64.
		"hugetlb": {"hugetlb.64KB.max", "hugetlb.2MB.max", "hugetlb.32MB.max", "hugetlb.1GB.max"},
	}
}

// limits returns the names of d's files that limit something.
func (d *dir) limits() (names []string, err error) {
	controllers, err := d.list("cgroup.controllers")
	if err != nil {
		return nil, err
	}
	r := reader{d: d, buf: takeBuffer()}
	defer func() { giveBuffer(r.buf) }()
	files := limitFiles()
	for _, c := range append(controllers, "cgroup") {
		for _, name := range files[c] {
			if value := strings.TrimSpace(string(r.read(name))); isLimit(name, value) {
				names = append(names, name)
			}
		}
	}
	return names, r.err
}

// isLimit says whether the value of a file limits anything: "max", "max 100000" and an
// empty value do not, nor does a file that is not there.
func isLimit(name, value string) bool {
	first, _, _ := strings.Cut(value, " ")
	switch {
	case value == "" || first == "max":
		return false
	case name == "rdma.max" || name == "misc.max": // a line for each resource: "mlx4_0 hca_handle=2 hca_object=max", "sev 5"
		for line := range strings.Lines(value) {
			for _, field := range strings.Fields(line)[1:] {
				if field != "max" && !strings.HasSuffix(field, "=max") {
					return true
				}
			}
		}
		return false
	case name == "pids.max":
		n, err := strconv.ParseUint(value, 10, 64)
		return err != nil || n < defaultTasks()
	}
	return true
}

// defaultTasks is the least pids.max that is taken for the manager's DefaultTasksMax=15%,
// of the lower of two limits of the kernel (system_tasks_max in systemd's
// src/basic/limits-util.c). Versions round differently, hence a tenth less.
func defaultTasks() uint64 {
	most := uint64(0)
	for _, name := range []string{"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"} {
		text, _ := readFile(name)
		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && (most == 0 || n < most) {
			most = n
		}
	}
	return most * 15 / 100 * 9 / 10
}
