package systemd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A grove is a cgroup of the test's that stands for the whole tree, with a
// process in a unit.
type grove struct {
	dir string
	pid int
}

// plant makes a grove, or skips where no cgroup may be made.
func plant(t *testing.T, h *Host, cgroup string) *grove {
	t.Helper()
	for _, point := range Here().Cgroups {
		dir, err := os.MkdirTemp(point, "supervise-test-")
		if err != nil || !isCgroup(dir) {
			os.Remove(dir)
			continue
		}
		g := &grove{dir: dir}
		t.Cleanup(func() { g.fell(t) })
		h.Cgroups = []string{dir}
		g.pid = g.sleeper(t, cgroup)
		writeCgroup(t, h.Proc, g.pid, cgroup)
		return g
	}
	const none = "no cgroup2 file system in which we may make cgroups"
	if os.Geteuid() == 0 && os.Getenv("SUPERVISE_CI") != "" {
		t.Fatal(none)
	}
	t.Skip(none + ": that needs root")
	return nil
}

func isCgroup(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// sleeper starts a process in a cgroup of the grove.
func (g *grove) sleeper(t *testing.T, cgroup string) int {
	t.Helper()
	must(t, os.MkdirAll(g.dir+cgroup, 0o755))
	cmd := exec.Command("sleep", "1000")
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	must(t, os.WriteFile(g.dir+cgroup+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0))
	return cmd.Process.Pid
}

// fell removes the cgroups from the leaves down, after the processes have gone: the
// kernel may hold a directory a moment longer than the last of them.
func (g *grove) fell(t *testing.T) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patient); ; <-tick.C {
		exec.Command("find", g.dir, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run()
		if _, err := os.Stat(g.dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s is left", g.dir)
			return
		}
	}
}

const service = "/system.slice/ci.service"

// An ownUnitCase is a unit that a process is in, and what its manager says of it.
type ownUnitCase struct {
	cgroup, other string         // of the process; of another process
	user, system  map[string]any // properties, as the one manager has them, or the other
	mark, slice   string         // user.delegate; asked for
	want          Delegation
}

var ownUnits = map[string]ownUnitCase{
	"a user's unit": {
		cgroup: "/user@UID.service/a.service", user: map[string]any{"Delegate": true, "ControlGroup": "/user@UID.service/a.service"},
		want: Delegation{Cgroup: "/user@UID.service/a.service", Unit: "a.service", Origin: OwnUnit, Manager: private},
	},
	"in its subgroup": {
		cgroup: "/user@UID.service/a.service/x", user: map[string]any{"Delegate": true, "ControlGroup": "/user@UID.service/a.service", "DelegateSubgroup": "x"},
		want: Delegation{Cgroup: "/user@UID.service/a.service", Unit: "a.service", Origin: OwnUnit, Manager: private, Subgroup: "x"},
	},
	"in another program's subgroup": {
		cgroup: "/user@UID.service/a.service/y", user: map[string]any{"Delegate": true, "ControlGroup": "/user@UID.service/a.service", "DelegateSubgroup": "x"},
		want: Delegation{Origin: NewScope, Manager: private},
	},
	"where supervise has moved": {
		cgroup: "/user@UID.service/a.service/supervisor", user: map[string]any{"Delegate": true, "ControlGroup": "/user@UID.service/a.service"},
		want: Delegation{Cgroup: "/user@UID.service/a.service", Unit: "a.service", Origin: OwnUnit, Manager: private, Subgroup: "supervisor"},
	},
	"not delegated": {
		cgroup: "/user@UID.service/a.service", user: map[string]any{"Delegate": false},
		want: Delegation{Origin: NewScope, Manager: private},
	},
	"somewhere else, says the manager": {
		cgroup: "/user@UID.service/a.service", user: map[string]any{"Delegate": true, "ControlGroup": "/b.service"},
		want: Delegation{Origin: NewScope, Manager: private},
	},
	"an answer of another type": {
		cgroup: "/user@UID.service/a.service", user: map[string]any{"Delegate": "yes"},
		want: Delegation{Origin: NewScope, Manager: private},
	},
	"not alone": {
		cgroup: "/user@UID.service/a.service", other: "/user@UID.service/a.service/sub",
		user: map[string]any{"Delegate": true, "ControlGroup": "/user@UID.service/a.service"},
		want: Delegation{Origin: NewScope, Manager: private},
	},
	"another slice is wanted": {
		cgroup: "/user@UID.service/a.service", slice: "b",
		user: map[string]any{"Delegate": true, "ControlGroup": "/user@UID.service/a.service"},
		want: Delegation{Origin: NewScope, Manager: private},
	},
	"another user's unit": {
		cgroup: "/user@12345.service/a.service", user: map[string]any{"Delegate": true, "ControlGroup": "/user@12345.service/a.service"},
		want: Delegation{Origin: NewScope, Manager: private},
	},
	"the system's unit": {
		cgroup: service, system: map[string]any{"Delegate": true, "ControlGroup": service},
		want: Delegation{Cgroup: service, Unit: "ci.service", Origin: OwnUnit, Manager: systemBus},
	},
	"the system's, not delegated": {
		cgroup: service, system: map[string]any{"Delegate": false},
		want: Delegation{Origin: NewScope, Manager: private},
	},
	"the system's, marked, and no manager": {
		cgroup: service, mark: "1",
		want: Delegation{Cgroup: service, Unit: "ci.service", Origin: OwnUnit, Manager: unasked},
	},
}

// The own unit is used only if it is delegated and holds no other process.
func TestOwnUnit(t *testing.T) {
	for name, c := range ownUnits {
		t.Run(name, func(t *testing.T) {
			h := testHost(t)
			id := strings.NewReplacer("UID", strconv.Itoa(h.UID))
			g := plant(t, h, id.Replace(c.cgroup))
			if c.other != "" {
				g.sleeper(t, id.Replace(c.other))
			}
			if c.mark != "" {
				must(t, unix.Setxattr(g.dir+c.cgroup, "user.delegate", []byte(c.mark), 0))
			} else {
				replaceUID(c.user, id)
				(&fake{props: c.user, result: "done"}).listen(t, h, h.own()+"/systemd/private")
			}
			if c.system != nil {
				(&fake{props: c.system}).listen(t, h, h.Run+"/dbus/system_bus_socket")
			}
			p, err := h.Place(t.Context(), Request{PIDs: []int{g.pid}, Slice: c.slice})
			must(t, err)
			if c.want.Origin == NewScope {
				p.Cgroup, p.Unit = "", "" // random
			}
			c.want.Cgroup = id.Replace(c.want.Cgroup)
			if p != c.want {
				t.Errorf("got %+v, want %+v", p, c.want)
			}
			_, err = h.Place(t.Context(), Request{PIDs: []int{g.pid}, Slice: c.slice, OwnUnit: true})
			if (err == nil) != (c.want.Origin == OwnUnit) {
				t.Errorf("without a scope: %v", err)
			}
		})
	}
}

func replaceUID(props map[string]any, id *strings.Replacer) {
	for k, v := range props {
		if s, ok := v.(string); ok {
			props[k] = id.Replace(s)
		}
	}
}

// A stopped system manager leaves time for the user's manager.
func TestOwnUnitUnanswered(t *testing.T) {
	t.Parallel() // it waits most of the time
	h := testHost(t)
	g := plant(t, h, "/system.slice/ci.service")
	(&fake{mute: "auth"}).listen(t, h, h.Run+"/dbus/system_bus_socket")
	(&fake{result: "done"}).listen(t, h, h.own()+"/systemd/private")
	ctx, cancel := context.WithTimeout(t.Context(), 30*short)
	defer cancel()
	if p, err := h.Place(ctx, Request{PIDs: []int{g.pid}}); err != nil || p.Origin != NewScope {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestControllers(t *testing.T) {
	h := testHost(t)
	plant(t, h, fmt.Sprintf("/user.slice/user-%[1]d.slice/user@%[1]d.service", h.UID))
	var r Report
	h.probeUser(&r)
	if r.UserControllers == nil || r.Linger == nil || *r.Linger {
		t.Errorf("got %+v", r)
	}
	runtimeDir(t, h, h.Linger+"/"+h.userName())
	if h.probeUser(&r); !*r.Linger {
		t.Error("does not see that the user lingers")
	}
}
