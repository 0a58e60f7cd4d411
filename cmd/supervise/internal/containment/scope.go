package containment

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/transient"
)

// ScopeProgram is the sibling that talks D-Bus to the service manager.
const ScopeProgram = "supervise-scope"

// DefaultPatience is how long the service manager is waited for.
const DefaultPatience = 5 * time.Second

// Overtime is how much longer than it promises supervise-scope may take.
const Overtime = time.Second

// A Scope is a cgroup that the service manager has delegated to us, and moved us into:
// what supervise-scope prints.
type Scope struct {
	Cgroup string `json:"cgroup"` // as /proc/self/cgroup has it
	Unit   string `json:"unit"`
	Origin string `json:"road"` // "scope": made for us; "unit": our own unit, which was delegated
}

// Search leads cgroup.Open to the scope. One that was made for us ends with us.
func (s Scope) Search() cgroup.Search {
	return cgroup.Search{Path: s.Cgroup, Delegated: true, Ends: s.Origin == "scope"}
}

// AskScope starts supervise-scope, to have the manager delegate a cgroup to some
// processes and move them there. ReadScope reads the answer.
func AskScope(patience time.Duration, slice, jobName string, pids ...int) (*program.Sibling, error) {
	args := []string{"--timeout", patience.String(), "--description", description(jobName)}
	if slice != "" {
		args = append(args, "--slice", slice)
	}
	return program.Ask(ScopeProgram, append(args, pidArgs(pids)...)...)
}

// AskAttach starts supervise-scope, to have the manager move more processes into a scope.
func AskAttach(unit string, patience time.Duration, pids []int) (*program.Sibling, error) {
	return program.Ask(ScopeProgram, append([]string{"--attach", unit, "--timeout", patience.String()}, pidArgs(pids)...)...)
}

// ReadScope returns the scope that supervise-scope tells of, after its end or Wait.
func ReadScope(a *program.Sibling) (s Scope, err error) {
	b, err := a.Output()
	if err == nil {
		if err = json.Unmarshal(b, &s); err == nil && s.Cgroup == "" {
			err = fmt.Errorf("%s names no cgroup: %s", ScopeProgram, b)
		}
	}
	return s, err
}

// AskUnit starts supervise-scope, to have the manager say whether the unit that some
// processes are in is delegated, and holds only them. ReadScope reads the answer.
func AskUnit(patience time.Duration, pids ...int) (*program.Sibling, error) {
	return program.Ask(ScopeProgram, append([]string{"--own-unit", "--timeout", patience.String()}, pidArgs(pids)...)...)
}

// joinScope has the manager delegate a cgroup to us, and move us into it: by our own
// message in the usual case, else by supervise-scope. That is still to be reaped if pid
// is not 0, and need not be waited for.
func joinScope(o *Options, manager *transient.Manager, slice string) (s Scope, pid int, err error) {
	if s, err = startScope(o, manager, slice); !errors.Is(err, transient.ErrTryHelper) {
		return s, 0, err
	}
	a, err := AskScope(o.Patience, slice, o.JobName, os.Getpid())
	if err != nil {
		return Scope{}, 0, err
	}
	a.Wait(o.Patience + Overtime)
	s, err = ReadScope(a)
	return s, a.PID(), err
}

func startScope(o *Options, manager *transient.Manager, slice string) (Scope, error) {
	unit, err := manager.Start(transient.Request{
		Description: description(o.JobName), Slice: slice, Timeout: o.Patience,
	})
	if err != nil {
		return Scope{}, err
	}
	own := cgroup.Own()
	if !strings.HasSuffix(own, "/"+unit) {
		return Scope{}, fmt.Errorf("the manager says that %s is started, but we are in %s", unit, own)
	}
	return Scope{Cgroup: own, Unit: unit, Origin: "scope"}, nil
}

func description(name string) string { return "supervise: " + cmp.Or(name, "jobs") }

func pidArgs(pids []int) (args []string) {
	for _, pid := range pids {
		args = append(args, "--pid", strconv.Itoa(pid))
	}
	return args
}
