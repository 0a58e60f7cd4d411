// Scope is the least that a Go program can do to run another one in a new scope of the user's service manager, and in a cgroup
// there: one message by hand (D-Bus specification, "Message Protocol"), the wait for JobRemoved, three directories, fork, wait. The
// message is the one that supervise sends.
//
//	scope PROGRAM [ARG]...
package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	pid := os.Getpid()
	unit := "least-" + strconv.Itoa(pid) + ".scope"
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check(err)
	check(syscall.Connect(fd, &syscall.SockaddrUnix{Name: os.Getenv("XDG_RUNTIME_DIR") + "/systemd/private"}))
	_, err = syscall.Write(fd, append([]byte("\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"), request(unit, uint32(pid))...))
	check(err)
	await(fd, unit)
	own := make([]byte, 4096)
	self, err := syscall.Open("/proc/self/cgroup", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	check(err)
	n, err := syscall.Read(self, own)
	check(err)
	_, path, _ := strings.Cut(string(own[:n]), "0::")
	root := "/sys/fs/cgroup" + strings.TrimSuffix(path, "\n")
	dirs := []string{root + "/session", root + "/session/job", root + "/session/job/main"}
	for _, dir := range dirs {
		check(syscall.Mkdir(dir, 0o755))
	}
	leaf, err := syscall.Open(dirs[2], syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	check(err)
	child, err := syscall.ForkExec(os.Args[1], os.Args[1:], &syscall.ProcAttr{
		Env: syscall.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: leaf},
	})
	check(err)
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(child, &status, 0, nil); err != syscall.EINTR {
			break
		}
	}
	for i := range dirs {
		check(syscall.Rmdir(dirs[len(dirs)-1-i]))
	}
	syscall.Exit(status.ExitStatus())
}

// await reads until the manager says that its job for the unit is done.
func await(fd int, unit string) {
	var all []byte
	for {
		part := make([]byte, 8192)
		n, err := syscall.Read(fd, part)
		check(err)
		if n == 0 {
			check(syscall.ECONNRESET)
		}
		all = append(all, part[:n]...)
		if _, after, ok := bytes.Cut(all, []byte("JobRemoved")); ok && bytes.Contains(after, []byte(unit+"\x00")) {
			return
		}
	}
}

// request is StartTransientUnit.
func request(unit string, pid uint32) []byte {
	var b []byte
	align := func(n int) {
		for len(b)%n != 0 {
			b = append(b, 0)
		}
	}
	number := func(n int) {
		align(4)
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	text := func(s string) {
		number(len(s))
		b = append(append(b, s...), 0)
	}
	signature := func(s string) { b = append(append(append(b, byte(len(s))), s...), 0) }
	array := func(add func()) {
		number(0)
		at := len(b)
		align(8)
		start := len(b)
		add()
		binary.LittleEndian.PutUint32(b[at-4:], uint32(len(b)-start))
	}
	b = append(b, 'l', 1, 0, 1)
	number(0)
	number(1)
	array(func() {
		for _, f := range []struct {
			code        byte
			kind, value string
		}{{1, "o", "/org/freedesktop/systemd1"}, {2, "s", "org.freedesktop.systemd1.Manager"}, {3, "s", "StartTransientUnit"}, {6, "s", "org.freedesktop.systemd1"}} {
			align(8)
			b = append(b, f.code)
			signature(f.kind)
			text(f.value)
		}
		align(8)
		b = append(b, 8)
		signature("g")
		signature("ssa(sv)a(sa(sv))")
	})
	align(8)
	body := len(b)
	text(unit)
	text("fail")
	array(func() {
		property := func(name, kind string) {
			align(8)
			text(name)
			signature(kind)
		}
		property("PIDs", "au")
		number(4)
		number(int(pid))
		property("Description", "s")
		text("the least")
		property("CollectMode", "s")
		text("inactive-or-failed")
		property("SendSIGHUP", "b")
		number(0)
		property("Delegate", "b")
		number(1)
	})
	array(func() {})
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-body))
	return b
}

func check(err error) {
	if err != nil {
		println(err.Error())
		syscall.Exit(125)
	}
}
