package main

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
)

// ociProgram knows container runtimes' formats, with their libraries.
const ociProgram = "supervise-oci"

// ociPatience is for what takes milliseconds, unless the document is a pipe.
const ociPatience = 10 * time.Second

// An ociLimit is one of those that supervise-oci prints.
type ociLimit struct{ Name, Controller, File, Value string }

// resources returns the limits in an OCI document. The name of each says where: the
// file, and the place in it.
func resources(file string) (cgroup.Limits, error) {
	answer, err := askLimits(file)
	if err != nil {
		return nil, fmt.Errorf("--resources %s: %w", file, err)
	}
	limits := make(cgroup.Limits, len(answer))
	for i, l := range answer {
		limits[i] = cgroup.Limit{Flag: "resources", Given: file + ": " + l.Name, Controller: l.Controller, File: l.File, Value: l.Value}
	}
	return limits, nil
}

// askLimits opens the file itself: a descriptor of ours (/dev/fd/N) is not the
// program's.
func askLimits(file string) (limits []ociLimit, err error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	a, err := askProgram(ociProgram, fd, "--limits", "-")
	if err != nil {
		return nil, err
	}
	defer a.close()
	b := a.all(ociPatience)
	defer reap(a.pid) // the complaint may have
	if len(b) == 0 {
		return nil, a.complaint()
	}
	if err := json.Unmarshal(b, &limits); err != nil {
		return nil, fmt.Errorf("%s: %w", ociProgram, err)
	}
	return limits, nil
}

// all reads what the program prints until it ends, which it does at the latest when
// the time is up.
func (a *asking) all(limit time.Duration) (b []byte) {
	for end := time.Now().Add(limit); ; {
		a.wait(max(0, time.Until(end)))
		more := readRest(a.out)
		if b = append(b, more...); len(more) == 0 {
			return b
		}
	}
}
