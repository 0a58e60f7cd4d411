package cgroup

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

var pageSize = uint64(os.Getpagesize())

// bytesFrom reads an amount of memory that is at least low: a number of megabytes
// without its M is caught here, for no process can live in less than a page.
func bytesFrom(low uint64) func(string) (string, error) {
	return func(v string) (string, error) {
		if isNoLimit(v) {
			return noLimit, nil
		}
		n, err := parseSize(v, 1024)
		if part, ok := parsePercent(v); ok {
			if part > 1 {
				return "", errors.New("want at most 100% of the machine's memory")
			}
			n, err = machineMemory()
			n = uint64(part * float64(n))
		}
		if err == nil && n < low {
			err = fmt.Errorf("want at least %d bytes, a page", low)
		}
		return strconv.FormatUint(n, 10), err
	}
}

func yesNo(v string) (string, error) {
	yes, err := parseBool(v)
	if yes {
		return "1", err
	}
	return "0", err
}

// cpuPeriod is the kernel's default, in microseconds; a quota is at least 1 ms
// (min_cfs_quota_period in kernel/sched), a hundredth of it.
const cpuPeriod = 100_000

// maxCPUs is beyond any machine, and the kernel still takes its quota.
const maxCPUs = 1 << 16

func cpus(v string) (string, error) {
	if isNoLimit(v) {
		return noLimit, nil
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !isDecimal(v) || n < 0.01 || n > maxCPUs {
		return "", errors.New("want a number of CPUs such as 1.5, 0.01 or more, or max")
	}
	return quota(n), nil
}

func cpuQuota(v string) (string, error) {
	if isNoLimit(v) {
		return noLimit, nil
	}
	n, ok := parsePercent(v)
	if !ok || n < 0.01 || n > maxCPUs {
		return "", errors.New("want a percentage of one CPU such as 150%, 1% or more")
	}
	return quota(n), nil
}

func quota(cpus float64) string {
	return strconv.FormatInt(int64(math.Round(cpus*cpuPeriod)), 10) + " " + strconv.Itoa(cpuPeriod)
}

// idle is the weight below all weights, which has a file of its own (cpu.idle, Linux
// 5.15).
const idle = "idle"

func weight(v string) (string, error) {
	n, err := parseRange(v, 1, 10000)
	return strconv.FormatUint(n, 10), err
}

// cpuWeight also takes "idle".
func cpuWeight(v string) (string, error) {
	if v == idle {
		return idle, nil
	}
	n, err := weight(v)
	if err != nil {
		err = fmt.Errorf("%w, or idle", err)
	}
	return n, err
}

func cpuList(v string) (string, error) {
	list, err := proc.ParseCPUList(v)
	if err == nil && len(list) == 0 {
		err = errors.New("want a list such as 0-3,8")
	}
	return list.String(), err
}

// maxTasks is the kernel's PID_MAX_LIMIT on 64 bits, the most that pids.max takes.
const maxTasks = 4 << 20

func tasks(v string) (string, error) {
	if isNoLimit(v) {
		return noLimit, nil
	}
	if part, ok := parsePercent(v); ok && part <= 1 {
		all, err := machineTasks()
		if err != nil {
			return "", err
		}
		v = strconv.FormatUint(uint64(part*float64(all)), 10)
	}
	n, err := parseRange(v, 1, maxTasks)
	if err != nil {
		err = fmt.Errorf("%w, a percentage or max", err)
	}
	return strconv.FormatUint(n, 10), err
}

var errIOMax = errors.New("want DEVICE,rbps=SIZE,wbps=SIZE,riops=N,wiops=N, with one key at least")

// ioMax reads DEVICE,rbps=1M,wiops=100.
func ioMax(v string) (string, error) {
	words := strings.Split(v, ",")
	keys := ""
	for len(words) > 1 { // from the end: the path of a device may have a comma
		key, amount, ok := strings.Cut(words[len(words)-1], "=")
		if !ok || !strings.Contains(" rbps wbps riops wiops ", " "+key+" ") {
			break
		}
		n, err := ioAmount(amount, 1024)
		if err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
		keys, words = " "+key+"="+n+keys, words[:len(words)-1]
	}
	if keys == "" {
		return "", errIOMax
	}
	d, err := findDevice(strings.Join(words, ","))
	return d.String() + keys, err
}

// ioKey reads systemd's "DEVICE SIZE".
func ioKey(key string) func(string) (string, error) {
	return func(v string) (string, error) {
		at := strings.LastIndexAny(v, " \t")
		if at < 0 {
			return "", errors.New("want a device and an amount, such as /dev/sda 5M")
		}
		n, err := ioAmount(v[at+1:], 1000)
		if err != nil {
			return "", err
		}
		d, err := findDevice(strings.TrimSpace(v[:at]))
		return d.String() + " " + key + "=" + n, err
	}
}

// ioAmount is per second; the kernel refuses 0.
func ioAmount(v string, base uint64) (string, error) {
	if isNoLimit(v) {
		return noLimit, nil
	}
	n, err := parseSize(v, base)
	if err != nil || n == 0 {
		return "", errors.New("want an amount per second such as 5M, or max")
	}
	return strconv.FormatUint(n, 10), nil
}
