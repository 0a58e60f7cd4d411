package proc

import (
	"errors"
	"strconv"
	"strings"
)

// A CPUList is a list of CPUs or memory nodes, as in cpuset.cpus and in
// /sys/devices/system/cpu/online.
type CPUList []CPURange

// A CPURange is a range of a list, both ends included.
type CPURange struct{ First, Last int }

// maxCPU is beyond the CPUs of any kernel (NR_CPUS is at most 8192).
const maxCPU = 1<<16 - 1

var errCPUList = errors.New("want a list such as 0-3,8")

// ParseCPUList reads a list such as "0-3,8" (cpuset(7), "List Format"). Spaces
// separate as well, as systemd has them. An empty text is an empty list.
func ParseCPUList(text string) (CPUList, error) {
	var list CPUList
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.ParseUint(first, 10, 32)
		b, err2 := strconv.ParseUint(last, 10, 32)
		if err1 != nil || err2 != nil || a > b || b > maxCPU {
			return nil, errCPUList
		}
		list = append(list, CPURange{int(a), int(b)})
	}
	return list, nil
}

// String is the inverse of ParseCPUList.
func (l CPUList) String() string {
	words := make([]string, len(l))
	for i, r := range l {
		words[i] = strconv.Itoa(r.First)
		if r.Last != r.First {
			words[i] += "-" + strconv.Itoa(r.Last)
		}
	}
	return strings.Join(words, ",")
}

// Len counts the CPUs, one that the list names twice as two.
func (l CPUList) Len() (n int) {
	for _, r := range l {
		n += r.Last - r.First + 1
	}
	return n
}

// Covers says whether every CPU of another list is in this one.
func (l CPUList) Covers(other CPUList) bool {
	for _, r := range other {
		for n := r.First; n <= r.Last; n++ {
			if !l.contains(n) {
				return false
			}
		}
	}
	return true
}

func (l CPUList) contains(n int) bool {
	for _, r := range l {
		if r.First <= n && n <= r.Last {
			return true
		}
	}
	return false
}
