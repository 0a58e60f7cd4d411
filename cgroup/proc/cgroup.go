package proc

import "bytes"

// ParseCgroup finds the cgroup v2 path in the text of /proc/PID/cgroup
// (cgroups(7)): the line "0::/path". It is false where version 2 is not mounted, or
// not in use. The kernel writes " (deleted)" behind the path of a cgroup that was
// removed, which a zombie may still be in.
func ParseCgroup(text []byte) (path string, ok bool) {
	for line := range bytes.Lines(text) {
		if p, ok := bytes.CutPrefix(line, []byte("0::/")); ok {
			return "/" + string(bytes.TrimSuffix(p, []byte("\n"))), true
		}
	}
	return "", false
}
