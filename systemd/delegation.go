package systemd

import (
	"context"
	"errors"
	"os"
	"slices"
)

// Origins of a delegated cgroup.
const (
	OwnUnit  = "unit"  // the unit that the processes are in: nothing was moved
	NewScope = "scope" // a new scope
)

// A Request describes the processes that want a delegated cgroup.
type Request struct {
	PIDs        []int    // processes to be in it; the first one's unit counts
	Description string   // of a new scope, for systemctl status
	Slice       string   // of the scope; "": the manager's choice. If it is set the own unit is not used.
	Controllers []string // to be delegated to a new scope; nil: all there are
	OwnUnit     bool     // make no scope: the own unit is the only place
}

// A Delegation is a delegated cgroup with the processes in it.
type Delegation struct {
	Cgroup   string `json:"cgroup"`             // the unit's, as /proc/PID/cgroup has it
	Unit     string `json:"unit"`               // its name
	Origin   string `json:"road"`               // OwnUnit or NewScope
	Manager  string `json:"manager"`            // the endpoint used; "none" if an attribute of the cgroup proved the delegation
	Subgroup string `json:"subgroup,omitempty"` // the processes' cgroup, relative to Cgroup (DelegateSubgroup=)
}

// evacuated is the sub-cgroup to which supervise moves itself in a unit that is its own. Any
// other that systemd has not made belongs to another program.
const evacuated = "supervisor"

// unasked is the Manager of a Delegation that needed no call to a manager.
const unasked = "none"

// Place makes sure that processes are in a delegated cgroup that holds no other process: the
// unit they are in, or a new scope. On an error they have not been moved, unless the time was
// up while the manager was making a scope.
func (h *Host) Place(ctx context.Context, r Request) (Delegation, error) {
	if len(r.PIDs) == 0 {
		return Delegation{}, errors.New("no process to place")
	}
	own, alone, err := h.ownUnit(r)
	if err != nil {
		return Delegation{}, err
	}
	if alone && own.marked() && (own.subgroup == "" || own.subgroup == evacuated) {
		return own.delegation(unasked), nil
	}
	if alone && own.user == systemManager && h.Outer != 0 && h.systemDelegates(ctx, own) {
		return own.delegation(systemBus), nil
	}
	m, err := h.connect(ctx, h.endpoints())
	if err != nil {
		return Delegation{}, err
	}
	defer m.Close()
	if alone && own.user == m.endpoint.user(h) && m.delegates(ctx, own) {
		return own.delegation(m.endpoint.name), nil
	}
	if r.OwnUnit {
		return Delegation{}, errNotDelegated
	}
	return m.newScope(ctx, h, r)
}

// errNotDelegated says why the own unit will not do.
var errNotDelegated = errors.New("the unit is not delegated, or holds other processes, or they are in a cgroup of it that systemd has not made")

// An ownUnit is the unit that the processes are in.
type ownUnit struct {
	unit
	tree
	subgroup string
}

func (o ownUnit) delegation(manager string) Delegation {
	return Delegation{Cgroup: o.cgroup, Unit: o.name, Origin: OwnUnit, Manager: manager, Subgroup: o.subgroup}
}

// ownUnit finds the unit that the processes are in. Alone says that the unit could be theirs
// alone: it holds only them, this process and its parent, and this process may move processes
// in it. Whether the unit is delegated is checked separately.
func (h *Host) ownUnit(r Request) (o ownUnit, alone bool, err error) {
	at, err := h.cgroupOf(r.PIDs[0])
	if err != nil {
		return ownUnit{}, false, err
	}
	u, ok := parseUnit(at)
	if !ok || r.Slice != "" {
		return ownUnit{}, false, nil
	}
	t, ok := h.tree(u.cgroup)
	if !ok {
		return ownUnit{}, false, nil
	}
	allowed := append(slices.Clone(r.PIDs), os.Getpid(), os.Getppid())
	return ownUnit{u, t, u.below(at)}, t.writable() && t.holdsOnly(r.PIDs, allowed), nil
}

// systemDelegates asks the system's manager, which answers every user, about a unit of its
// own. It spends half of the time at most: the rest is left for a scope.
func (h *Host) systemDelegates(ctx context.Context, o ownUnit) bool {
	ctx, cancel := share(ctx, 2)
	defer cancel()
	m, err := h.systemBus().open(ctx)
	if err != nil {
		return false
	}
	defer m.Close()
	return m.delegates(ctx, o)
}

// delegates asks the manager whether it has delegated the unit. If the manager does not know
// the unit, or has it in another cgroup, parseUnit has misread the tree: the answer is no.
func (m *manager) delegates(ctx context.Context, o ownUnit) bool {
	yes, err := unitProperty[bool](ctx, m, o.name, "Delegate")
	if err != nil || !yes {
		return false
	}
	cgroup, err := unitProperty[string](ctx, m, o.name, "ControlGroup")
	if err != nil || cgroup != o.cgroup {
		return false
	}
	if o.subgroup == "" || o.subgroup == evacuated {
		return true
	}
	subgroup, err := unitProperty[string](ctx, m, o.name, "DelegateSubgroup") // systemd 254
	return err == nil && subgroup == o.subgroup
}
