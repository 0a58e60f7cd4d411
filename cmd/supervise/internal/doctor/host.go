package doctor

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed-c1490a04/supervise/protocol"
)

// Kinds of container that have a fix of their own.
const (
	docker     = "docker"
	kubernetes = "kubernetes"
	lxc        = "lxc"
	nspawn     = "systemd-nspawn"
	podman     = "podman"
)

// findHost describes the machine or container of this process. Root is the root of the file
// system that it reads: "/" outside tests.
func findHost(root string, uid int, getenv func(string) string) protocol.Place {
	p := protocol.Place{UID: uid, UserNamespace: !firstNamespace(root, "user", "4026531837")}
	if kind := containerKind(root, getenv); kind != "" {
		p.Container = &kind
	}
	p.Systemd = exists(root, "run/systemd/system")
	if p.Systemd && uid != 0 {
		p.UserManager = new(exists(root, "run/user", strconv.Itoa(uid), "systemd"))
	}
	return p
}

// containerKind goes by the marks that container engines leave; "" is no container.
// Kubernetes comes first: its engines leave their own marks as well. The marks are
// believed only in a namespace: a virtual machine may be made from an image.
func containerKind(root string, getenv func(string) string) string {
	switch {
	case firstNamespace(root, "pid", "4026531836") && firstNamespace(root, "cgroup", "4026531835"):
		return ""
	case getenv("KUBERNETES_SERVICE_HOST") != "":
		return kubernetes
	}
	marks := []string{
		readString(root, "run/systemd/container"),                // written by a systemd that is PID 1 there
		environ(readString(root, "proc/1/environ"), "container"), // https://systemd.io/CONTAINER_INTERFACE, if we may read it
		ifExists(podman, root, "run/.containerenv"),
		ifExists(docker, root, ".dockerenv"), // may be older than the container, which is made from an image
		getenv("container"),
	}
	for _, mark := range marks {
		if mark = strings.TrimSpace(mark); mark != "" {
			return mark
		}
	}
	return ""
}

func ifExists(mark string, elem ...string) string {
	if exists(elem...) {
		return mark
	}
	return ""
}

// environ finds a variable in the text of /proc/PID/environ (proc_pid_environ(5)).
func environ(text, name string) string {
	for v := range bytes.SplitSeq([]byte(text), []byte{0}) {
		if value, ok := bytes.CutPrefix(v, []byte(name+"=")); ok {
			return string(value)
		}
	}
	return ""
}

// firstNamespace says whether we are in the namespace of this kind that the kernel
// starts with, which has a fixed number (PROC_*_INIT_INO, include/linux/proc_ns.h);
// so it is if the kernel has none of this kind.
func firstNamespace(root, kind, number string) bool {
	link, err := os.Readlink(filepath.Join(root, "proc/self/ns", kind))
	return err != nil || link == kind+":["+number+"]"
}

func exists(elem ...string) bool {
	_, err := os.Stat(filepath.Join(elem...))
	return err == nil
}

// readString reads a file; one that cannot be read is empty.
func readString(elem ...string) string {
	b, _ := os.ReadFile(filepath.Join(elem...))
	return string(b)
}
