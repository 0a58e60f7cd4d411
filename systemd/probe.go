package systemd

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// A Report describes the managers and the unit of a process, for "supervise doctor". A null
// field could not be found out.
type Report struct {
	Endpoints       []EndpointState `json:"roads"`                // every endpoint, in the order of trying
	Cgroup          string          `json:"cgroup"`               // the process's own
	Unit            string          `json:"unit"`                 // the unit that the cgroup belongs to; "" if systemd has not made it
	UnitManager     string          `json:"unit_manager"`         // "user" or "system"
	Slice           string          `json:"slice"`                // the slice that the unit is in
	Delegate        *bool           `json:"delegate"`             // whether the unit is delegated
	Controllers     []string        `json:"delegate_controllers"` // the controllers delegated to the unit
	Subgroup        *string         `json:"delegate_subgroup"`    // DelegateSubgroup=, "" before systemd 254
	UserService     string          `json:"user_service"`         // the unit of the user's manager; "" for root
	UserControllers []string        `json:"user_controllers"`     // the controllers that the user's manager may hand on; null if it does not run
	Linger          *bool           `json:"linger"`               // whether the user's manager runs without a login as well
	Error           string          `json:"error,omitempty"`      // the reason why the manager was not asked about the unit
}

// An EndpointState is one endpoint and whether it leads to a manager.
type EndpointState struct {
	Name    string `json:"road"`
	Address string `json:"address"`
	OK      bool   `json:"ok"`
	Error   string `json:"error,omitempty"`
}

// Probe makes a Report, and changes nothing. Each endpoint gets an equal share of the time: one
// that does not answer leaves time for the others.
func (h *Host) Probe(ctx context.Context, pid int) Report {
	var r Report
	endpoints := h.endpoints()
	if h.UID != 0 {
		endpoints = append(endpoints, h.systemBus())
	}
	for i, d := range endpoints {
		r.Endpoints = append(r.Endpoints, d.try(ctx, len(endpoints)-i+1))
	}
	if h.Outer != 0 {
		h.probeUser(&r)
	}
	at, err := h.cgroupOf(pid)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Cgroup = at
	if u, ok := parseUnit(at); ok {
		r.setUnit(u)
		h.probeUnit(ctx, &r, u)
	}
	return r
}

// share returns a context with one part of the time that is left.
func share(ctx context.Context, by int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(by))
}

func (d endpoint) try(ctx context.Context, left int) EndpointState {
	ctx, cancel := share(ctx, left)
	defer cancel()
	w := EndpointState{Name: d.name, Address: d.address}
	m, err := d.open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = errSilent
		}
		w.Error = err.Error()
		return w
	}
	m.Close()
	w.OK = true
	return w
}

func (h *Host) probeUser(r *Report) {
	r.UserService = fmt.Sprintf("user@%d.service", h.Outer)
	if t, ok := h.tree(fmt.Sprintf("/user.slice/user-%d.slice/%s", h.Outer, r.UserService)); ok {
		r.UserControllers = t.controllers()
	}
	if _, err := os.Stat(h.Linger); err == nil || os.IsNotExist(err) {
		_, err = os.Stat(path.Join(h.Linger, h.userName()))
		linger := err == nil
		r.Linger = &linger
	}
}

func (r *Report) setUnit(u unit) {
	r.Unit, r.UnitManager = u.name, "user"
	if u.user == systemManager {
		r.UnitManager = "system"
	}
	if s := path.Base(path.Dir(u.cgroup)); strings.HasSuffix(s, ".slice") {
		r.Slice = s
	}
}

// probeUnit asks the manager that has made the unit, if it can be reached.
func (h *Host) probeUnit(ctx context.Context, r *Report, u unit) {
	endpoints := append(h.endpoints(), h.systemBus())
	endpoints = slices.DeleteFunc(endpoints, func(d endpoint) bool { return d.user(h) != u.user })
	if len(endpoints) == 0 {
		r.Error = fmt.Sprintf("%s is a unit of user %d's manager, which we cannot ask", u.name, u.user)
		return
	}
	m, err := h.connect(ctx, endpoints)
	if err != nil {
		r.Error = err.Error()
		return
	}
	defer m.Close()
	if err := r.ask(ctx, m); err != nil {
		r.Error = err.Error()
	}
}

func (r *Report) ask(ctx context.Context, m *manager) error {
	yes, err := unitProperty[bool](ctx, m, r.Unit, "Delegate")
	if err != nil {
		return err
	}
	r.Delegate = &yes
	if r.Controllers, err = unitProperty[[]string](ctx, m, r.Unit, "DelegateControllers"); err != nil {
		return err
	}
	sub, err := unitProperty[string](ctx, m, r.Unit, "DelegateSubgroup")
	if err == nil {
		r.Subgroup = &sub
	}
	return err
}
