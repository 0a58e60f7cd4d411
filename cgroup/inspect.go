package cgroup

import (
	"bytes"
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// A View describes the hierarchy as this process sees it. It serves to explain why something
// does not work, so no part of it fails: a part that cannot be read is missing, and Err says
// why.
type View struct {
	Mount     *Mount     // nil: no cgroup2 file system is mounted
	Own       string     // our cgroup, as /proc/self/cgroup has it; "" if that has no line of version 2
	Ancestors []Ancestor // from the root of the mount to our own cgroup, or to Lead's; none if the mount does not show it
	Top       bool       // our own cgroup is the root of the whole hierarchy
	Others    int        // processes beside us in our own cgroup, -1: not known
	V1        []string   // controllers that hierarchies of version 1 hold
	Err       error      // why Ancestors is empty
}

// A Mount is the cgroup2 mount that Open would use, or the last one if none will
// do.
type Mount struct {
	Point    string
	Root     string // the cgroup it shows, as seen from our cgroup namespace
	Shown    bool   // our own cgroup is below Root
	ReadOnly bool
}

// An Ancestor is a cgroup on the way down to ours, which is the last of them.
type Ancestor struct {
	Name        string   // as /proc/self/cgroup would have it
	Path        string   // its directory
	UID         int      // the owner, -1: not known
	Writable    bool     // we may make sub-cgroups in it and move processes within
	Delegated   bool     // systemd has marked it as delegated, or says so in the file of a transient unit
	Controllers []string // cgroup.controllers: what it may hand on
	Subtree     []string // cgroup.subtree_control: what it does hand on
	Busy        bool     // it holds processes of its own, which keeps it from handing controllers on
	Err         error    // why it could not be read
}

// Inspect reads the View. It changes nothing.
func Inspect() *View {
	self, err1 := readFile("/proc/self/cgroup")
	info, err2 := readFile("/proc/self/mountinfo")
	v := inspect(self, info)
	v.Err = errors.Join(err1, err2, v.Err)
	v.readAncestors()
	v.readOwn()
	return v
}

// Lead makes Ancestors lead to another cgroup: the directory, below the mount point, that a
// job or this process is to be in.
func (v *View) Lead(dir string) {
	if v.Mount == nil || !v.Mount.Shown || !isBelow(v.Mount.Point, dir) {
		return
	}
	name := path.Join(v.Mount.Root, strings.TrimPrefix(dir, v.Mount.Point))
	v.Ancestors = position{mount: mount{point: v.Mount.Point}, own: name, path: dir}.ancestors()
	v.readAncestors()
}

func isBelow(point, dir string) bool { return dir == point || strings.HasPrefix(dir, point+"/") }

// readAncestors reads each cgroup of the chain.
func (v *View) readAncestors() {
	for i := range v.Ancestors {
		v.Ancestors[i].read()
	}
}

// inspect fills in the part of the View that two files of proc(5) determine.
func inspect(self, info []byte) *View {
	v := &View{Others: -1, V1: parseV1(self)}
	own, ok := proc.ParseCgroup(self)
	mounts := parseMounts(info)
	if len(mounts) > 0 {
		m := mounts[len(mounts)-1]
		v.Mount = &Mount{Point: m.point, Root: m.root}
	}
	if !ok {
		v.Err = ErrNoMount
		return v
	}
	v.Own = own
	here, err := pick(mounts, own)
	if err != nil {
		v.Err = err
		return v
	}
	v.Mount = &Mount{Point: here.mount.point, Root: here.mount.root, Shown: true}
	v.Ancestors = here.ancestors()
	return v
}

// ancestors are the cgroups from the mount point to the own one, by name only.
func (p position) ancestors() []Ancestor {
	var list []Ancestor
	name, dir, point := path.Clean(p.own), p.path, path.Clean(p.mount.point)
	for {
		list = append(list, Ancestor{Name: name, Path: dir, UID: -1})
		if dir == point || dir == "/" {
			break
		}
		name, dir = path.Dir(name), path.Dir(dir)
	}
	slices.Reverse(list)
	return list
}

// read fills in the fields that the directory determines.
func (a *Ancestor) read() {
	d, err := openDir(a.Path)
	if err != nil {
		a.Err = err
		return
	}
	defer d.close()
	var st unix.Stat_t
	if unix.Fstat(d.fd, &st) == nil {
		a.UID = int(st.Uid)
	}
	a.Writable = d.permits(".") && d.permits("cgroup.procs")
	a.Delegated = d.isDelegated(a.Name)
	var err1, err2 error
	a.Controllers, err1 = d.list("cgroup.controllers")
	a.Subtree, err2 = d.list("cgroup.subtree_control")
	a.Err = errors.Join(err1, err2)
	pids, _ := d.ownProcs()
	a.Busy = len(pids) > 0 && d.has("cgroup.events") // the root of the hierarchy, which has no such file, may hold both
}

// permits says whether this process may write; a read-only mount refuses root as well.
func (d *dir) permits(name string) bool {
	return unix.Faccessat(d.fd, name, unix.W_OK, unix.AT_EACCESS) == nil
}

// readOwn fills in the fields about our own cgroup and its mount.
func (v *View) readOwn() {
	if v.Mount != nil {
		var st unix.Statfs_t
		err := unix.Statfs(v.Mount.Point, &st)
		v.Mount.ReadOnly = err == nil && st.Flags&unix.ST_RDONLY != 0
	}
	if len(v.Ancestors) == 0 {
		return
	}
	d, err := openDir(v.Ancestors[len(v.Ancestors)-1].Path)
	if err != nil {
		return
	}
	defer d.close()
	_, err = d.keyed("cgroup.events", "populated")
	v.Top = errors.Is(err, unix.ENOENT)
	if pids, err := d.list("cgroup.procs"); err == nil { // processes outside our PID namespace are listed as 0
		v.Others = len(slices.DeleteFunc(pids, func(pid string) bool { return pid == strconv.Itoa(os.Getpid()) }))
	}
}

// parseV1 lists the controllers in the lines of /proc/PID/cgroup that are of
// version 1, such as "4:cpu,cpuacct:/path"; "name=systemd" is none.
func parseV1(self []byte) []string {
	var list []string
	for line := range bytes.Lines(self) {
		id, rest, _ := strings.Cut(string(line), ":")
		names, _, ok := strings.Cut(rest, ":")
		if !ok || id == "0" {
			continue
		}
		for name := range strings.SplitSeq(names, ",") {
			if name != "" && !strings.Contains(name, "=") {
				list = append(list, name)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// A Barrier is the reason why a controller does not reach the last of a View's cgroups.
type Barrier int

const (
	NoBarrier Barrier = iota // it does reach it
	Kept                     // an ancestor has it, and does not hand it down
	Busy                     // the same, and the ancestor holds processes of its own, so that it cannot
	HeldByV1                 // no ancestor has it: a hierarchy of version 1 does
	Absent                   // no ancestor has it: the kernel or a container's engine withholds it
)

// Stops decides where a controller stops on the way down to the last cgroup: at the
// lowest ancestor that has it. At is nil if none has.
func (v *View) Stops(controller string) (at *Ancestor, why Barrier) {
	for i := len(v.Ancestors) - 1; i >= 0; i-- {
		at = &v.Ancestors[i]
		switch {
		case !slices.Contains(at.Controllers, controller):
		case i == len(v.Ancestors)-1:
			return at, NoBarrier
		case at.Busy:
			return at, Busy
		default:
			return at, Kept
		}
	}
	if slices.Contains(v.V1, V1Name(controller)) {
		return nil, HeldByV1
	}
	return nil, Absent
}

// V1Name returns the name that a controller has in cgroup v1.
func V1Name(controller string) string {
	if controller == "io" {
		return "blkio"
	}
	return controller
}
