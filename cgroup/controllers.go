package cgroup

import (
	"slices"
	"strings"
)

// enable hands d's controllers down to its children (cgroup.subtree_control), and returns
// those that were not handed down before. A controller that the kernel refuses (EBUSY: a
// process in d; EINVAL: cpu with real-time processes) is left out.
func (d *dir) enable() (enabled []string, err error) {
	available, err := d.list("cgroup.controllers")
	if err != nil || len(available) == 0 {
		return nil, err
	}
	already, err := d.list("cgroup.subtree_control")
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(available, func(c string) bool { return slices.Contains(already, c) })
	if len(missing) == 0 || d.switchControllers("+", missing) == nil {
		return missing, nil
	}
	for _, c := range missing { // one refused controller fails the whole write
		if d.switchControllers("+", []string{c}) == nil {
			enabled = append(enabled, c)
		}
	}
	return enabled, nil
}

// disable takes back controllers that enable handed down.
func (d *dir) disable(controllers []string) {
	if len(controllers) > 0 {
		d.switchControllers("-", controllers) // a child that uses one keeps it
	}
}

func (d *dir) switchControllers(sign string, controllers []string) error {
	return d.write("cgroup.subtree_control", sign+strings.Join(controllers, " "+sign))
}

// list reads a file of words.
func (d *dir) list(name string) ([]string, error) {
	b, err := d.read(name)
	return strings.Fields(string(b)), err
}
