package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// ErrNoMount says that no usable cgroup v2 hierarchy is mounted here.
var ErrNoMount = errors.New("no cgroup v2 hierarchy is mounted")

// A mount is one mount of the cgroup2 file system, or of a part of it.
type mount struct {
	point string // the directory that it is mounted on
	root  string // the cgroup that it shows, as seen from our cgroup namespace
	// localEvents says that memory.events does not count what happens in sub-cgroups (the mount
	// option memory_localevents).
	localEvents bool
}

// parseMounts finds the cgroup2 mounts in the text of /proc/self/mountinfo
// (proc_pid_mountinfo(5)). Lines it cannot read are left out.
func parseMounts(info []byte) []mount {
	var found []mount
	for line := range bytes.Lines(info) {
		// 41 31 0:38 /root /mount/point rw,relatime [optional fields] - cgroup2 source options
		left, right, ok := strings.Cut(string(line), " - ")
		if !ok || !strings.HasPrefix(right, "cgroup2 ") {
			continue
		}
		if f := strings.Fields(left); len(f) >= 6 {
			options := right[strings.LastIndexByte(right, ' ')+1:]
			local := slices.Contains(strings.Split(strings.TrimSpace(options), ","), "memory_localevents")
			found = append(found, mount{point: unescape(f[4]), root: unescape(f[3]), localEvents: local})
		}
	}
	return found
}

// unescape undoes the octal escapes (\040 for a space) of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1:i+4]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isOctal(s string) bool { return strings.Trim(s, "01234567") == "" && s[0] <= '3' }

// Own returns our own cgroup as /proc/self/cgroup has it, "" where it has no line of
// version 2.
func Own() string {
	text, _ := readFile("/proc/self/cgroup")
	own, _ := proc.ParseCgroup(text)
	return own
}

// below returns the directory of a cgroup under the mount point, and whether the mount shows
// it. A mount made in another cgroup namespace has a root such as "/../.." and shows cgroups
// above ours: the directory at our path there is not our cgroup.
func (m mount) below(cgroup string) (string, bool) {
	if strings.HasPrefix(m.root, "/..") || strings.HasPrefix(cgroup, "/..") {
		return "", false
	}
	rest, ok := strings.CutPrefix(cgroup+"/", strings.TrimSuffix(m.root, "/")+"/")
	if !ok || strings.Contains("/"+rest, "/../") { // no kernel writes the latter, and it would lead out of the mount
		return "", false
	}
	return path.Join(m.point, rest), true
}

// A position is this process's own cgroup, and the mount that shows it.
type position struct {
	mount mount
	own   string // our cgroup, as /proc/self/cgroup has it
	path  string // our cgroup's directory
}

// locate finds the mount through which our own cgroup can be reached.
func locate() (position, error) {
	self, err := readFile("/proc/self/cgroup")
	if err != nil {
		return position{}, fmt.Errorf("finding the own cgroup: %w", err)
	}
	info, err := readFile("/proc/self/mountinfo")
	if err != nil {
		return position{}, fmt.Errorf("finding the cgroup2 mount: %w", err)
	}
	own, ok := proc.ParseCgroup(self)
	if !ok {
		return position{}, fmt.Errorf("%w: /proc/self/cgroup has no \"0::\" line", ErrNoMount)
	}
	return pick(parseMounts(info), own)
}

// pick returns the last mount that shows our cgroup and that no later mount at the same point
// hides: below the later one another cgroup may have our path.
func pick(mounts []mount, own string) (position, error) {
	if len(mounts) == 0 {
		return position{}, ErrNoMount
	}
	hidden := map[string]bool{}
	for i := len(mounts) - 1; i >= 0; i-- {
		if hidden[mounts[i].point] {
			continue
		}
		hidden[mounts[i].point] = true
		if p, ok := mounts[i].below(own); ok {
			return position{mounts[i], own, p}, nil
		}
	}
	m := mounts[len(mounts)-1]
	return position{}, fmt.Errorf("the cgroup2 mount at %s shows %s, which does not contain the own cgroup %s", m.point, m.root, own)
}
