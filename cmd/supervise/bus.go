package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// probeLimit bounds how long the managers are waited for.
const probeLimit = 5 * time.Second

// askBus has supervise-scope find out whether systemd can be reached, until the
// descriptor enough can be read.
func askBus(enough int) protocol.Bus {
	bus := protocol.Bus{Roads: []protocol.BusRoad{}}
	program, err := findSibling(scopeProgram)
	if err != nil {
		bus.Error = new(err.Error())
		return bus
	}
	a, err := ask("--probe", "--timeout", probeLimit.String())
	if err == nil {
		a.wait(probeLimit+patience, enough)
		reap(a.pid)
		var out []byte
		if out, err = a.output(); err == nil {
			bus, err = parseProbe(out)
		}
	}
	bus.Program = &program
	if err != nil {
		bus.Error = new(oneLine(fmt.Errorf("asking %s: %w", scopeProgram, err)))
	}
	return bus
}

// parseProbe reads what supervise-scope prints. Of another version it may lack
// fields, or have more.
func parseProbe(answer []byte) (protocol.Bus, error) {
	var bus protocol.Bus
	err := json.Unmarshal(answer, &bus)
	if err != nil {
		bus, err = protocol.Bus{}, fmt.Errorf("reading its answer: %w", err)
	}
	if bus.Roads == nil {
		bus.Roads = []protocol.BusRoad{}
	}
	bus.Unit, bus.Error = notBlank(bus.Unit), notBlank(bus.Error)
	for i := range bus.Roads {
		bus.Roads[i].Error = notBlank(bus.Roads[i].Error)
	}
	return bus, err
}

// notBlank is nil for what is there, and empty.
func notBlank(s *string) *string {
	if s != nil && *s == "" {
		return nil
	}
	return s
}
