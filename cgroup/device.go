package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A device is the number of a block device.
type device struct{ major, minor uint32 }

func (d device) String() string {
	return strconv.FormatUint(uint64(d.major), 10) + ":" + strconv.FormatUint(uint64(d.minor), 10)
}

// sysfs returns the path of the device's directory in sysfs(5), or of a file below it.
func (d device) sysfs(below string) string { return "/sys/dev/block/" + d.String() + "/" + below }

// parseDevice reads MAJ:MIN.
func parseDevice(v string) (device, bool) {
	major, minor, ok := strings.Cut(v, ":")
	a, err1 := strconv.ParseUint(major, 10, 12) // the widths of the kernel's dev_t
	b, err2 := strconv.ParseUint(minor, 10, 20)
	return device{uint32(a), uint32(b)}, ok && err1 == nil && err2 == nil
}

// findDevice returns the disk that a user means by MAJ:MIN, by the path of a block
// device or by that of a file on one. The io controller takes whole disks only: for a
// partition the result is its disk.
func findDevice(v string) (device, error) {
	d, ok := parseDevice(v)
	if !ok {
		var err error
		if d, err = deviceOf(v); err != nil {
			return device{}, err
		}
	}
	if exists("/sys/dev/block") && !exists(d.sysfs("")) {
		return device{}, fmt.Errorf("there is no block device %s", d)
	}
	if !exists(d.sysfs("partition")) {
		return d, nil
	}
	b, err := readFile(d.sysfs("../dev")) // the directory above a partition's is the disk's
	if err != nil {
		return device{}, fmt.Errorf("finding the disk of partition %s: %w", d, err)
	}
	disk, ok := parseDevice(strings.TrimSpace(string(b)))
	if !ok {
		return device{}, fmt.Errorf("finding the disk of partition %s: %q is no device number", d, b)
	}
	return disk, nil
}

func exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }

// deviceOf asks stat(2). A file system with several devices, or with none, has an anonymous
// number, whose major is 0 (btrfs, overlay, tmpfs, nfs).
func deviceOf(path string) (device, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return device{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	n := st.Dev
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		n = st.Rdev
	case unix.S_IFCHR:
		return device{}, errors.New("want a block device, and that is a character device")
	}
	if unix.Major(n) == 0 {
		return device{}, fmt.Errorf("%s is on a file system without a block device of its own (%d:%d): name the device", path, unix.Major(n), unix.Minor(n))
	}
	return device{unix.Major(n), unix.Minor(n)}, nil
}
