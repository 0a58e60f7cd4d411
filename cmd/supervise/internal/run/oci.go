package run

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
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
	a, err := program.AskAbout(fd, ociProgram, "--limits", "-")
	if err != nil {
		return nil, err
	}
	b, err := a.All(ociPatience)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &limits); err != nil {
		return nil, fmt.Errorf("%s: %w", ociProgram, err)
	}
	return limits, nil
}
