// Package oci speaks the formats of container runtimes: it turns the resources of
// an OCI runtime specification (config-linux.md, "Control groups") into limits of a
// job, and reads a job's numbers as containerd's Metrics.
//
// The specification is written in terms of cgroup v1. Where v2 has another scale,
// this package converts as runc and crun do; what v2 does not have is refused, never
// dropped. As in runc a number of 0 is one that was not given, for that is how
// Docker and the kubelet write it; the exceptions are pids, idle, burst and huge pages.
package oci

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-c1490a04/supervise/cgroup"
)

// Limits converts resources into limits of a job node; the Flag of each is the place
// in the document that it comes from, such as "memory.limit". The error is one line
// that begins with such a place.
//
// The order of limits of one file is that in which they are to be written. That a
// job may not swap unless it was given swap is not said by the document; see
// [cgroup.Limits.Complete].
func Limits(r *specs.LinuxResources) (cgroup.Limits, error) {
	var c conversion
	c.devices(r.Devices)
	if r.Memory != nil {
		c.memory(r.Memory)
	}
	if r.CPU != nil {
		c.cpu(r.CPU)
	}
	if r.Pids != nil && r.Pids.Limit != nil {
		c.pids(*r.Pids.Limit)
	}
	if r.BlockIO != nil {
		c.blockIO(r.BlockIO)
	}
	c.hugepages(r.HugepageLimits)
	if r.Network != nil {
		c.network(r.Network)
	}
	c.rdma(r.Rdma)
	c.unified(r.Unified)
	if c.err != nil {
		return nil, c.err
	}
	return c.limits, nil
}

// A conversion collects limits, or the first reason why there are none.
type conversion struct {
	limits cgroup.Limits
	err    error
}

func (c *conversion) add(field, file, value string) {
	controller, _, _ := strings.Cut(file, ".")
	if controller == "cgroup" { // what every cgroup has is no controller's
		controller = ""
	}
	c.limits = append(c.limits, cgroup.Limit{Flag: field, Controller: controller, File: file, Value: value})
}

func (c *conversion) refuse(field, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...))
	}
}

// check refuses a number that is not within bounds.
func check[N int64 | uint64](c *conversion, field string, n, low, high N) bool {
	ok := low <= n && n <= high
	if !ok {
		c.refuse(field, "%d is not from %d to %d", n, low, high)
	}
	return ok
}

// absent refuses what a document sets and cgroup v2 does not have.
func (c *conversion) absent(field string, isSet bool) {
	if isSet {
		c.refuse(field, "cgroup v2 has no such setting")
	}
}

// value is 0, or false, where there is none.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// noLimit is the kernel's word (cgroup-v2.rst, "Conventions"); v1 had -1.
const noLimit = "max"

func decimal[N int64 | uint64](n N) string {
	if n < 0 {
		return noLimit
	}
	return strconv.FormatUint(uint64(n), 10)
}
