package run

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
)

// ociProgram reads the formats of container runtimes, with the libraries of those: they
// would weigh more than all the rest of supervise.
const ociProgram = "supervise-oci"

// ociPatience bounds the wait for the answer. The program takes milliseconds, unless the
// document is a pipe whose writer takes longer.
const ociPatience = 10 * time.Second

// An ociLimit is one of the list that supervise-oci prints, in JSON: a cgroup file and
// the text to write into it, and where in the document it comes from.
type ociLimit struct{ Name, Controller, File, Value string }

// resources returns the limits in an OCI document (--resources). Given names the file and
// the place in it, for an error message that leads to the line.
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

// askLimits has supervise-oci read the document. The file is opened here: /dev/fd/N, as a
// shell's process substitution has it, is a descriptor of this process and not of that
// one.
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
