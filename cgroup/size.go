package cgroup

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// noLimit is the kernel's word for a limit that is none (cgroup-v2.rst,
// "Conventions").
const noLimit = "max"

// isNoLimit knows the kernel's word and systemd's.
func isNoLimit(v string) bool { return v == noLimit || v == "infinity" }

var errSize = errors.New("want a size such as 512M, 1.5G, 20% or max")

// parseSize reads bytes: a number, which may have a fraction, and a unit of K, M, G,
// T, P or E in either case, each base times the one before; KiB and so on always
// count by 1024, and a B behind a unit changes nothing.
func parseSize(v string, base uint64) (uint64, error) {
	number := strings.TrimRight(v, "KMGTPEkmgtpeiB")
	factor, ok := unit(v[len(number):], base)
	if !ok || !isDecimal(number) {
		return 0, errSize
	}
	if whole, err := strconv.ParseUint(number, 10, 64); err == nil {
		if whole > math.MaxInt64/factor {
			return 0, errors.New("that is too large")
		}
		return whole * factor, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !strings.Contains(number, ".") || f*float64(factor) >= math.MaxInt64 {
		return 0, errors.New("that is too large")
	}
	return uint64(math.Round(f * float64(factor))), nil
}

// unit returns the factor that a suffix stands for.
func unit(suffix string, base uint64) (factor uint64, ok bool) {
	letter, isBinary := strings.CutSuffix(suffix, "iB")
	if isBinary {
		base = 1024
	} else {
		letter = strings.TrimSuffix(suffix, "B")
	}
	if letter == "" {
		return 1, !isBinary
	}
	power := strings.Index("KMGTPE", strings.ToUpper(letter))
	if power < 0 || len(letter) > 1 {
		return 0, false
	}
	factor = base
	for range power {
		factor *= base
	}
	return factor, true
}

// isDecimal knows 12 and 1.5, and neither a sign nor an exponent.
func isDecimal(s string) bool {
	whole, fraction, dotted := strings.Cut(s, ".")
	isDigits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return isDigits(whole) && (!dotted || isDigits(fraction))
}

// parsePercent reads 12.5% as a part of one; ok is false if the text is no percentage.
// More than all is for the caller to judge.
func parsePercent(v string) (part float64, ok bool) {
	number, ok := strings.CutSuffix(v, "%")
	if !ok || !isDecimal(number) {
		return 0, false
	}
	f, err := strconv.ParseFloat(number, 64)
	return f / 100, err == nil && f < 1e9
}

// parseRange reads a whole number between two bounds.
func parseRange(v string, low, high uint64) (uint64, error) {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("want a whole number from %d to %d", low, high)
	}
	return n, nil
}

// parseBool reads systemd's words for yes and no.
func parseBool(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "yes", "true", "on", "1", "y", "t":
		return true, nil
	case "no", "false", "off", "0", "n", "f":
		return false, nil
	}
	return false, errors.New("want yes or no")
}

// machineMemory returns the bytes of memory of the machine (sysinfo(2)). systemd
// takes percentages of the same number.
func machineMemory() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("finding the size of the memory: %w", err)
	}
	return uint64(info.Totalram) * uint64(info.Unit), nil //nolint:unconvert // it is 32 bits wide on some architectures
}

// machineTasks returns how many tasks there can be: the lesser of
// kernel.pid_max and kernel.threads-max.
func machineTasks() (uint64, error) {
	least := uint64(math.MaxUint64)
	for _, name := range []string{"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"} {
		b, err := readFile(name)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", name, err)
		}
		least = min(least, n)
	}
	return least, nil
}
