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

// A Search names the only root to try, which the user, or systemd, has chosen. Where none was
// chosen, Judge finds one.
type Search struct {
	// Path is a directory, or a path as /proc/self/cgroup has it.
	Path string
	// Delegated says that Path is known to be.
	Delegated bool
	// Ends says that Path is removed when this process ends, and need not be restored.
	Ends bool
	// After is a judgment of a moment ago, whose look at the mounts will do; nil: there is none.
	After *Judgment
}

// A root is a cgroup in which sessions are made.
type root struct {
	*dir
	origin  Origin
	leaf    string   // the leaf that this process moved to, to make root an inner node; "" if it did not
	enabled []string // controllers that claim handed down
	ends    bool     // see Search
	shelter bool     // guardianLeaf was made: see Session.Shelter

	localEvents bool // see mount
}

// guardianLeaf is the leaf that holds the guardian where the root is apart from the own cgroup.
const guardianLeaf = "guardian"

// supervisorLeaf is the leaf that holds the supervisor when root must hold no process.
const supervisorLeaf = "supervisor"

// Open makes a locked session in the root. Call Claim once the root holds no process that is
// to be moved into a job.
//
// The error says why the root is not usable: ErrNoMount, or the refused operation with its
// path (EROFS in a container, EACCES in a cgroup of another user).
func (s Search) Open() (*Session, error) {
	here, err := s.locate()
	if err != nil {
		return nil, err
	}
	r, err := s.openPath(here)
	if err != nil {
		return nil, err
	}
	session, err := r.newSession()
	if err != nil {
		r.close()
	}
	return session, err
}

// locate finds the mount, and this process's own cgroup.
func (s Search) locate() (position, error) {
	if s.After != nil {
		here := position{mount: s.After.mount, own: Own()}
		if below, ok := here.mount.below(here.own); ok && here.own != "" {
			here.path = below
			return here, nil
		}
	}
	return locate()
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
	r := &root{dir: d, origin: Explicit, ends: s.Ends, localEvents: here.mount.localEvents}
	if s.Delegated {
		r.origin = Delegated
	} else if own := (&standing{Judgment: Judgment{position: here}, managed: Managed()}); p == here.path && own.isOurs(d, "") {
		r.origin = Delegated
	}
	return r, nil
}

// apart says whether r, which was named, is neither above nor below the own cgroup, so that
// what ends the one does not end the other.
func (r *root) apart() (bool, error) {
	if r.origin != Explicit {
		return false, nil
	}
	here, err := locate()
	return err == nil && !isBelow(here.path, r.path) && !isBelow(r.path, here.path), err
}

// marked says whether a cgroup carries one of our extended attributes.
func marked(path, attr string) bool {
	var buf [256]byte
	_, err := unix.Getxattr(path, attr, buf[:])
	return err == nil || err == unix.ERANGE
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
	if r.shelter {
		r.rmdir(guardianLeaf) // it may hold another guardian
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
