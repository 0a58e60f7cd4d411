package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

func notEmpty(v string) error {
	if v == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// parseDuration reads a Go duration (1m30s, 500ms), or a number of seconds as
// timeout(1) and systemd have it.
func parseDuration(d *time.Duration, v string) error {
	parsed, err := time.ParseDuration(v)
	if seconds, e := strconv.ParseFloat(v, 64); err != nil && e == nil && seconds < math.MaxInt64/1e9 {
		parsed, err = time.Duration(seconds*1e9), nil
	}
	if err != nil || parsed < 0 || parsed == 0 && strings.ContainsAny(v, "123456789") {
		return errors.New("want a duration such as 90, 1m30s or 500ms")
	}
	*d = parsed
	return nil
}

// parseSignal reads TERM, SIGTERM or 15.
func parseSignal(sig *unix.Signal, v string) error {
	name := strings.ToUpper(v)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if *sig = unix.SignalNum(name); *sig != 0 {
		return nil
	}
	n, err := strconv.Atoi(v)
	if rest, ok := strings.CutPrefix(name, "SIGRTMIN+"); ok {
		n, err = strconv.Atoi(rest)
		n += minRealTime
	}
	if err != nil || n < 1 || n > 64 {
		return errors.New("want a signal such as TERM, SIGINT or 15")
	}
	*sig = unix.Signal(n)
	return nil
}

func setLeftovers(o *runOptions, v string) error {
	modes := map[string]supervisor.Leftovers{"kill": supervisor.Kill, "wait": supervisor.Wait, "fail": supervisor.Fail}
	mode, ok := modes[v]
	if !ok {
		return errors.New("want kill, wait or fail")
	}
	o.leftovers = mode
	return nil
}

func setContain(o *runOptions, v string) error {
	switch v {
	case containAuto, containCgroup, containSubreaper:
		o.contain = v
		return nil
	}
	return errors.New("want auto, cgroup or subreaper")
}

func setName(o *runOptions, v string) error {
	if len(v) > 255 || strings.ContainsAny(v, "/\n\x00") {
		return errors.New("want at most 255 bytes without slash and newline")
	}
	o.name = v
	return notEmpty(v)
}

func setSystemdTimeout(o *runOptions, v string) error {
	err := parseDuration(&o.systemdTimeout, v)
	if err == nil && (o.systemdTimeout == 0 || o.systemdTimeout > time.Hour) {
		err = errors.New("want more than 0 and at most 1h")
	}
	return err
}

func setMarks(o *runOptions, v string) (err error) {
	o.marks, err = parseFD(v)
	return err
}

func setOwner(o *runOptions, v string) (err error) {
	o.owner, err = parseFD(v)
	return err
}

// parseFD reads fd:N and checks that the descriptor is open. The job does not
// inherit it.
func parseFD(v string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(v, "fd:"))
	if err != nil || n < 0 || n > math.MaxInt32 || !strings.HasPrefix(v, "fd:") {
		return -1, errors.New("want an open descriptor such as fd:3")
	}
	if _, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err != nil {
		return -1, fmt.Errorf("descriptor %d is not open", n)
	}
	if n > 2 {
		unix.CloseOnExec(n)
	}
	return n, nil
}
