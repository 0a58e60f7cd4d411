package cgroup

import (
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// A walk goes through a tree of cgroups, depth first. It has one directory open beside the
// first one and comes back by "..", for a job may nest more of them than there are
// descriptors. Nothing moves a cgroup to another parent (the kernel has no rename for that).
type walk struct {
	first, at *dir       // the first is the caller's
	rest      [][]string // what is yet to be visited, from the first directory down to the current one
	via       []string   // the names from the first directory to the current one
}

func (d *dir) walk() *walk { return &walk{first: d, at: d, rest: make([][]string, 1)} }

// depth is that of the current directory below the first one.
func (w *walk) depth() int { return len(w.via) }

// visit adds sub-cgroups of the current directory to those that next returns.
func (w *walk) visit(names ...string) {
	rest := &w.rest[len(w.rest)-1]
	*rest = append(*rest, names...)
}

// next returns a sub-cgroup of the current directory that was not visited yet.
func (w *walk) next() (name string, ok bool) {
	rest := &w.rest[len(w.rest)-1]
	if len(*rest) == 0 {
		return "", false
	}
	name, *rest = (*rest)[0], (*rest)[1:]
	return name, true
}

// more says whether next has more.
func (w *walk) more() bool { return len(w.rest[len(w.rest)-1]) > 0 }

// down goes to a sub-cgroup by open, all of whose sub-cgroups are to be visited.
func (w *walk) down(name string, open func(d *dir, name string) (*dir, error)) error {
	d, err := open(w.at, name)
	if err != nil {
		return err
	}
	names, err := d.subdirs()
	if err != nil {
		d.close()
		return err
	}
	w.close()
	w.at, w.rest, w.via = d, append(w.rest, names), append(w.via, name)
	return nil
}

// up goes back to the parent, and returns the name of where it was.
func (w *walk) up() (name string, err error) {
	last := len(w.via) - 1
	parent := w.first
	if last > 0 {
		fd, err := unix.Openat(w.at.fd, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return "", w.at.fail("open", "..", err)
		}
		parent = &dir{fd: fd, path: path.Dir(w.at.path), forced: w.at.forced}
	}
	w.close()
	name = w.via[last]
	w.at, w.rest, w.via = parent, w.rest[:last+1], w.via[:last]
	return name, nil
}

// close ends the walk.
func (w *walk) close() {
	if w.at != w.first {
		w.at.close()
	}
}

// each calls f for d and for every cgroup below it. One that is gone meanwhile is no error;
// other errors are returned together, at the end.
func (d *dir) each(f func(at *dir) error) (err error) {
	w := d.walk()
	defer w.close()
	fail := func(e error) {
		if e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	fail(f(d))
	names, e := d.subdirs()
	fail(e)
	w.visit(names...)
	for {
		name, ok := w.next()
		switch {
		case ok:
			if e := w.down(name, (*dir).child); e != nil {
				fail(e)
			} else {
				fail(f(w.at))
			}
		case w.depth() == 0:
			return err
		default:
			if _, e := w.up(); e != nil {
				return errors.Join(err, e)
			}
		}
	}
}
