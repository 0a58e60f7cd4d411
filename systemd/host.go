package systemd

import (
	"bytes"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// A Host holds the user of this process and the directories of its machine. [Here] fills it
// in; tests make their own.
type Host struct {
	UID    int                 // the effective user, which owns our directories and sockets
	Outer  int                 // the same user as the managers see it, outside our user namespace
	Getenv func(string) string // the environment, which is often empty
	Run    string              // "/run"
	Proc   string              // "/proc"
	Linger string              // logind's directory with a file for each user whose manager runs without a login
	// Cgroups are the directories on which systemd mounts cgroup2: the usual one, and
	// that of the hybrid layout.
	Cgroups []string
}

// Here returns the Host of this process.
func Here() *Host {
	uid := os.Geteuid()
	return &Host{
		UID:     uid,
		Outer:   outer("/proc/self/uid_map", uid),
		Getenv:  os.Getenv,
		Run:     "/run",
		Proc:    "/proc",
		Linger:  "/var/lib/systemd/linger",
		Cgroups: []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"},
	}
}

// outer looks a user up in a map of user_namespaces(7), each line of which is the
// first ID inside, the first outside, and their number.
func outer(file string, uid int) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return uid
	}
	return parseMap(text, uid)
}

func parseMap(text []byte, uid int) int {
	for line := range bytes.Lines(text) {
		var inside, outside, n int
		if _, err := fmt.Sscan(string(line), &inside, &outside, &n); err != nil {
			return uid
		}
		if uid >= inside && uid-inside < n {
			return outside + uid - inside
		}
	}
	return uid
}

// userName returns the name that loginctl takes for our user, or the number, which it takes too.
func (h *Host) userName() string {
	id := strconv.Itoa(h.Outer)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// runtimeDirs are the directories that may hold our manager's sockets, best first.
func (h *Host) runtimeDirs() []string {
	own := filepath.Join(h.Run, "user", strconv.Itoa(h.Outer))
	named := filepath.Clean(h.Getenv("XDG_RUNTIME_DIR"))
	if !filepath.IsAbs(named) || named == own { // unset, or nonsense
		return []string{own}
	}
	return []string{named, own}
}
