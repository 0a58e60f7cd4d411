package doctor

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/protocol"
)

// probeLimit bounds the wait for the managers' answers.
const probeLimit = 5 * time.Second

// askBus has supervise-scope find out whether systemd can be reached. It is interrupted
// when a descriptor can be read.
func askBus(interrupt int) protocol.Bus {
	bus := protocol.Bus{Roads: []protocol.BusRoad{}}
	path, err := program.FindSibling(containment.ScopeProgram)
	if err != nil {
		bus.Error = new(err.Error())
		return bus
	}
	a, err := program.Ask(containment.ScopeProgram, "--probe", "--timeout", probeLimit.String())
	if err == nil {
		a.Wait(probeLimit+containment.Overtime, interrupt)
		program.Reap(a.PID())
		var out []byte
		if out, err = a.Output(); err == nil {
			bus, err = parseProbe(out)
		}
	}
	bus.Program = &path
	if err != nil {
		bus.Error = new(cli.OneLine(fmt.Errorf("asking %s: %w", containment.ScopeProgram, err)))
	}
	return bus
}

// parseProbe reads the JSON of supervise-scope. Another version may leave fields out, or have
// more.
func parseProbe(answer []byte) (protocol.Bus, error) {
	var bus protocol.Bus
	err := json.Unmarshal(answer, &bus)
	if err != nil {
		bus, err = protocol.Bus{}, fmt.Errorf("reading its answer: %w", err)
	}
	if bus.Roads == nil {
		bus.Roads = []protocol.BusRoad{}
	}
	bus.Unit, bus.Error = blankToNil(bus.Unit), blankToNil(bus.Error)
	for i := range bus.Roads {
		bus.Roads[i].Error = blankToNil(bus.Roads[i].Error)
	}
	return bus, err
}

// blankToNil is nil for an empty text as well.
func blankToNil(s *string) *string {
	if s == nil {
		return nil
	}
	return notBlank(*s)
}

// notBlank is nil for an empty text.
func notBlank(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
