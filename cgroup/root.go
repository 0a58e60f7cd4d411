package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An Origin says how the root was found; the constants are in the order of trying.
type Origin string

const (
	Explicit  Origin = "explicit"  // named by the user
	Nested    Origin = "nested"    // the job node of an outer supervisor
	Delegated Origin = "delegated" // known to be handed over, with no process in it but this one
	Shared    Origin = "shared"    // our own cgroup, with other processes in it: no controllers
)

// A Search says which roots to try. The zero value tries all.
type Search struct {
	// Path names the only root to try: a directory, or a path as /proc/self/cgroup
	// has it. Empty: the job node of an outer supervisor, then our own cgroup.
	Path string
	// Delegated says that Path is known to be.
	Delegated bool
	// Ends says that Path is removed when this process ends, and need not be restored.
	Ends bool
	// Exclusive leaves out a shared root: the error is ErrShared or
	// ErrOccupied.
	Exclusive bool
	// Ours are processes that may be in the own cgroup beside this one, because the caller
	// moves them into a job.
	Ours []int
}

var (
	// ErrShared says that the own cgroup is writable, but not known to be delegated.
	ErrShared = errors.New("the own cgroup is not known to be delegated")
	// ErrOccupied says that the own cgroup is delegated, but holds other processes, so that
	// it cannot hand down controllers.
	ErrOccupied = errors.New("the own cgroup is delegated, but holds other processes")
)

// A root is a cgroup in which sessions are made.
type root struct {
	*dir
	origin  Origin
	leaf    string   // the leaf that this process moved to, to make root an inner node; "" if it did not
	enabled []string // controllers that claim handed down
	ends    bool     // see Search
}

// supervisorLeaf is the leaf that holds the supervisor when root must hold no process.
const supervisorLeaf = "supervisor"

// find opens the roots to try, best first.
func (s Search) find() ([]*root, error) {
	here, err := locate()
	if err != nil {
		return nil, err
	}
	if s.Path != "" {
		r, err := s.openPath(here)
		return []*root{r}, err
	}
	var roots []*root
	if r := openNested(here); r != nil {
		roots = append(roots, r)
	}
	if r := openUnit(here); r != nil {
		roots = append(roots, r)
	}
	own, err := openDir(here.path)
	if err != nil {
		return roots, err
	}
	if own.isReadOnly() { // a process inside cannot make the mount writable
		own.close()
		return roots, own.fail("open", "cgroup.procs", unix.EROFS)
	}
	origin, err := s.ownOrigin(own, here.own)
	if err != nil && s.Exclusive {
		own.close()
		return roots, err
	}
	return append(roots, &root{dir: own, origin: origin}), nil
}

// openUnit returns the delegated unit that our cgroup is below, if the unit's own cgroup holds
// no process: sessions are then made beside the sub-cgroup that we are in.
func openUnit(here position) *root {
	unit := unitAbove(here.own)
	p, ok := here.mount.below(unit)
	if unit == "" || !ok {
		return nil
	}
	d, err := openDir(p)
	if err != nil {
		return nil
	}
	if pids, err := d.members(); err == nil && len(pids) == 0 && d.isDelegated(unit) {
		return &root{dir: d, origin: Delegated}
	}
	d.close()
	return nil
}

func (s Search) openPath(here position) (*root, error) {
	p := path.Clean(s.Path)
	if !strings.HasPrefix(p, here.mount.point+"/") && p != here.mount.point {
		below, ok := here.mount.below(path.Join("/", p))
		if !ok {
			return nil, fmt.Errorf("cgroup %s is not shown by the mount at %s", s.Path, here.mount.point)
		}
		p = below
	}
	d, err := openDir(p)
	if err != nil {
		return nil, err
	}
	r := &root{dir: d, origin: Explicit, ends: s.Ends}
	if s.Delegated {
		r.origin = Delegated
	} else if p == here.path {
		if origin, _ := s.ownOrigin(d, here.own); origin == Delegated {
			r.origin = origin
		}
	}
	return r, nil
}

// openNested returns the job node we are in, if our cgroup is its main leaf.
func openNested(here position) *root {
	parent := path.Dir(here.path)
	if path.Base(here.path) != mainLeaf || !marked(parent, xattrJob) {
		return nil
	}
	d, err := openDir(parent)
	if err != nil {
		return nil
	}
	return &root{dir: d, origin: Nested}
}

// marked says whether a cgroup carries one of our extended attributes.
func marked(path, attr string) bool {
	var buf [256]byte
	_, err := unix.Getxattr(path, attr, buf[:])
	return err == nil || err == unix.ERANGE
}

// ownOrigin decides whether the own cgroup may be evacuated: it must be known to be delegated,
// and hold no process but this one and Ours. The error says which of the two fails. The root
// of the whole hierarchy (only it has no cgroup.events) needs no evacuation and is always
// shared.
func (s Search) ownOrigin(d *dir, own string) (Origin, error) {
	if _, err := d.keyed("cgroup.events", "populated"); err != nil {
		return Shared, ErrShared
	}
	switch {
	case Managed() && !d.isDelegated(own):
		return Shared, ErrShared
	case d.holdsOnly(s.Ours):
		return Delegated, nil
	case strings.HasSuffix(own, ".service"):
		return Shared, nil // stopping the service must end the jobs: they stay in it
	}
	return Shared, ErrOccupied
}

// holdsOnly says whether all processes in d are this one and some others.
func (d *dir) holdsOnly(ours []int) bool {
	pids, err := d.members()
	if err != nil {
		return false
	}
	for _, pid := range pids { // an unseen one started our PID namespace, or is a container engine's monitor
		if pid != os.Getpid() && !slices.Contains(ours, pid) {
			return false
		}
	}
	return len(pids) > 0
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

// claim makes root an inner node that hands its controllers down. It leaves a shared root, and
// one without controllers, as it is: moving a process can take 15 ms.
func (r *root) claim() error {
	if r.origin == Shared {
		return nil
	}
	controllers, err := r.list("cgroup.controllers")
	if err != nil || len(controllers) == 0 {
		return err
	}
	if err := r.evacuate(); err != nil {
		r.origin = Shared // root is still usable, without controllers
		return nil
	}
	r.enabled, err = r.enable()
	return err
}

// evacuate moves us into a leaf below root, so that root may hand controllers
// to the sessions ("no internal processes", cgroups(7)).
func (r *root) evacuate() error {
	if r.origin != Delegated || !r.holdsOnly(nil) {
		return nil
	}
	leaf, err := r.mkdir(supervisorLeaf)
	if errors.Is(err, fs.ErrExist) { // a killed supervisor left it
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

// restore undoes claim: it takes the controllers back, moves this process back and removes the
// leaf. The kernel keeps a leaf that another supervisor is in (EBUSY).
func (r *root) restore() error {
	if r.ends {
		return nil
	}
	r.disable(r.enabled)
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
