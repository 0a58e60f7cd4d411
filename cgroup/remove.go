package cgroup

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// A Removal removes a cgroup and everything below it, depth first, a part at a time. It never
// waits: the kernel may answer EBUSY for a while though a cgroup is empty, as a dying process
// is still on its lists, or a reader is inside (opencontainers/cgroups retries likewise).
type Removal struct {
	*walk        // from the parent of what is to be removed
	name  string // of that
	busy  error  // the first refusal of this round
}

// removal begins to remove the named sub-cgroup; one that is not there is no error.
func (d *dir) removal(name string) *Removal { return &Removal{walk: d.walk(), name: name} }

// Step removes at most n directories, and says whether all are gone. Without an error there is
// more to do at once. After one, the next Step begins anew, which helps after EBUSY alone.
func (r *Removal) Step(n int) (done bool, err error) {
	if r.depth() == 0 {
		r.busy = nil
		r.visit(r.name)
	}
	for ; n > 0; n-- {
		name, ok := r.next()
		switch {
		case ok:
			r.remove(name)
		case r.depth() > 0:
			if name, err = r.up(); err != nil {
				return false, err
			}
			r.fail(r.at.rmdir(name))
		}
		if r.depth() == 0 && !r.more() {
			return r.busy == nil, r.busy
		}
	}
	return false, nil
}

// remove removes a sub-cgroup of the current one, or goes down into it.
func (r *Removal) remove(name string) {
	err := r.at.rmdir(name)
	if isBusy(err) && r.at.hasChildren(name) {
		err = r.down(name, (*dir).childForced)
	}
	r.fail(err)
}

func (r *Removal) fail(err error) {
	if r.busy == nil && !errors.Is(err, fs.ErrNotExist) {
		r.busy = err
	}
}

func isBusy(err error) bool { return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY) }

// Close gives up what is not removed yet.
func (r *Removal) Close() { r.close() }

// removeLimit bounds the wait for cgroups to be free.
const removeLimit = time.Second

// removeTree removes the named sub-cgroup and everything below it, and waits for it.
func (d *dir) removeTree(name string) error {
	if err := d.rmdir(name); !isBusy(err) {
		return err
	}
	r := d.removal(name)
	defer r.Close()
	return r.finish()
}

// finish removes what is left. It gives up when nothing but waiting has helped for removeLimit.
func (r *Removal) finish() error {
	for wait := time.Millisecond; ; wait *= 2 {
		done, err := r.Step(1 << 30)
		if done || !isBusy(err) || wait > removeLimit/2 {
			return err
		}
		time.Sleep(wait)
	}
}

func (d *dir) hasChildren(name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Nlink > 2
}
