package systemd

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// A Host is the ground we stand on: who asks, and where things are. [Here] fills
// it in; tests make their own.
type Host struct {
	UID    int                 // the effective user
	Getenv func(string) string // may know nothing: the environment is often empty
	Run    string              // "/run"
	Proc   string              // "/proc"
	Linger string              // directory with a file for each user whose manager stays: logind's
	// Cgroups are the places at which systemd mounts cgroup2, of which it knows
	// two: the usual one, and the one of the hybrid layout.
	Cgroups []string
}

// Here returns the Host of this process.
func Here() *Host {
	return &Host{
		UID:     os.Geteuid(),
		Getenv:  os.Getenv,
		Run:     "/run",
		Proc:    "/proc",
		Linger:  "/var/lib/systemd/linger",
		Cgroups: []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"},
	}
}

// userName is what loginctl calls our user: the number serves as well.
func (h *Host) userName() string {
	id := strconv.Itoa(h.UID)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// runtimeDirs are the directories that may hold our manager's sockets, best first.
func (h *Host) runtimeDirs() []string {
	own := filepath.Join(h.Run, "user", strconv.Itoa(h.UID))
	named := filepath.Clean(h.Getenv("XDG_RUNTIME_DIR"))
	if !filepath.IsAbs(named) || named == own { // unset, or nonsense
		return []string{own}
	}
	return []string{named, own}
}
