package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Road is the way by which the root was found, in the order of trying.
type Road string

const (
	Explicit  Road = "explicit"  // named by the user
	Nested    Road = "nested"    // the job node of an outer supervisor
	Delegated Road = "delegated" // our own cgroup, which holds only us: evacuated
	Shared    Road = "shared"    // our own cgroup, with other processes in it: no controllers
)

// A root is a cgroup in which sessions are made.
type root struct {
	*dir
	road Road
	leaf string // where we moved ourselves to make root an inner node; "" if we did not
}

// supervisorLeaf is where the supervisor waits when root must hold no process.
const supervisorLeaf = "supervisor"

// findRoots opens the roots worth trying, best first. explicit, if not empty, is
// the only one: a directory, or a path as /proc/self/cgroup has it.
func findRoots(explicit string) ([]*root, error) {
	here, err := locate()
	if err != nil {
		return nil, err
	}
	if explicit != "" {
		r, err := openExplicit(here, explicit)
		return []*root{r}, err
	}
	var roots []*root
	if r := openNested(here); r != nil {
		roots = append(roots, r)
	}
	own, err := openDir(here.path)
	if err != nil {
		return roots, err
	}
	return append(roots, &root{dir: own, road: ownRoad(own)}), nil
}

func openExplicit(here place, name string) (*root, error) {
	p := path.Clean(name)
	if !strings.HasPrefix(p, here.mount.point+"/") && p != here.mount.point {
		below, ok := here.mount.below(path.Join("/", p))
		if !ok {
			return nil, fmt.Errorf("cgroup %s is not shown by the mount at %s", name, here.mount.point)
		}
		p = below
	}
	d, err := openDir(p)
	if err != nil {
		return nil, err
	}
	r := &root{dir: d, road: Explicit}
	if p == here.path && ownRoad(d) == Delegated {
		r.road = Delegated
	}
	return r, nil
}

// openNested returns the job node we are in, if our cgroup is its main leaf.
func openNested(here place) *root {
	parent := path.Dir(here.path)
	if path.Base(here.path) != mainLeaf || !marked(parent, xattrJob) {
		return nil
	}
	d, err := openDir(parent)
	if err != nil {
		return nil
	}
	return &root{dir: d, road: Nested}
}

// marked says whether a cgroup carries one of our extended attributes.
func marked(path, attr string) bool {
	var buf [256]byte
	_, err := unix.Getxattr(path, attr, buf[:])
	return err == nil || err == unix.ERANGE
}

// ownRoad decides whether the own cgroup may be evacuated: it is known to be
// delegated, and it holds nobody else. The root of the whole hierarchy (which
// alone has no cgroup.events) needs no evacuation and is always shared.
func ownRoad(d *dir) Road {
	if _, err := d.keyed("cgroup.events", "populated"); err != nil {
		return Shared
	}
	if !d.delegated() {
		return Shared
	}
	procs, err := d.read("cgroup.procs")
	if err != nil || string(bytes.TrimSpace(procs)) != strconv.Itoa(os.Getpid()) {
		return Shared
	}
	return Delegated
}

// delegated says whether whoever manages cgroups here has handed this one over.
// systemd says so in an attribute (on services; user managers do not set it);
// where systemd does not run, being able to write is all there is to know.
func (d *dir) delegated() bool {
	if _, err := os.Stat("/run/systemd/system"); errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return d.markedDelegated()
}

// markedDelegated says whether systemd has marked the cgroup as delegated.
func (d *dir) markedDelegated() bool {
	for _, attr := range []string{"trusted.delegate", "user.delegate"} {
		var v [1]byte
		if n, err := unix.Fgetxattr(d.fd, attr, v[:]); err == nil && n == 1 && v[0] == '1' {
			return true
		}
	}
	return false
}

// writable checks that we may move processes within root: an unprivileged move
// or birth needs write access to cgroup.procs of the common ancestor
// (cgroups(7), "Delegation").
func (r *root) writable() error {
	fd, err := r.open("cgroup.procs", unix.O_WRONLY)
	if err != nil {
		return err
	}
	unix.Close(fd)
	return nil
}

// evacuate moves us into a leaf below root, so that root may hand controllers
// to the sessions ("no internal processes", cgroups(7)).
func (r *root) evacuate() error {
	if r.road != Delegated {
		return nil
	}
	leaf, err := r.mkdir(supervisorLeaf)
	if errors.Is(err, fs.ErrExist) { // left by a supervisor that was killed
		leaf, err = r.child(supervisorLeaf)
	}
	if err != nil {
		return err
	}
	defer leaf.close()
	if err := leaf.write("cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		r.rmdir(supervisorLeaf)
		return err
	}
	r.leaf = supervisorLeaf
	return nil
}

// restore moves us back and removes the leaf; another supervisor in it keeps it.
func (r *root) restore() error {
	if r.leaf == "" {
		return nil
	}
	r.leaf = ""
	if err := r.write("cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	if err := r.rmdir(supervisorLeaf); err != nil && !errors.Is(err, unix.EBUSY) {
		return err
	}
	return nil
}
