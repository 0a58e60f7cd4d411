package serve

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A readiness is the socket by which a job says that it is ready (sd_notify(3)). Its address is
// abstract, so that no file is left behind; all that see it in /proc/net/unix may send to it,
// which is why the kernel is asked for the sender.
type readiness struct {
	fd     int // -1: closed
	name   string
	status string // the latest STATUS=
	told   bool
}

// maxNotify is how long a message may be, in bytes.
const maxNotify = 4 << 10

// makeReadiness opens the socket and names it in the job's environment.
func (p *plan) makeReadiness() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	var number [16]byte
	unix.Getrandom(number[:], 0) // package crypto/rand would make the binary larger by 32 MB of memory
	p.ready = &readiness{fd: fd, name: "@supervise/notify/" + hex.EncodeToString(number[:])}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: p.ready.name}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	change := map[string]*string{"NOTIFY_SOCKET": &p.ready.name}
	p.env = update(p.env, change)
	for _, c := range p.commands {
		c.env = update(c.env, change)
	}
	return nil
}

// listen hears the job from here on. Messages are taken also while the owner does not read:
// only few may wait in the socket, and a job that sends one more is blocked (unix(7)).
func (n *readiness) listen(j *job) {
	err := j.v.poller.Watch(n.fd, unix.EPOLLIN, func(uint32) { n.read(j, 16) })
	j.v.failed = errors.Join(j.v.failed, err)
}

// maxMessages is more than may wait in a socket (net.unix.max_dgram_qlen, 512 with systemd).
const maxMessages = 4096

// read takes the messages that are there, up to a number, so that no job keeps the loop busy.
func (n *readiness) read(j *job, most int) {
	var text [maxNotify]byte
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred)) // too small for descriptors, which the kernel closes
	for range most {
		size, controlSize, _, _, err := unix.Recvmsg(n.fd, text[:], control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return
		}
		if from := sender(control[:controlSize]); from != nil && j.mayTell(from) {
			n.hear(j, int(from.Pid), text[:size])
		}
	}
}

// sender is the process that has sent a message, by the kernel's word.
func sender(control []byte) *unix.Ucred {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return nil
	}
	from, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil {
		return nil
	}
	return from
}

// mayTell says whether a process may speak for the job: one of the same user, which could do
// anything to the job, and any process of the job. The sender may have ended, as
// systemd-notify(1) does at once; the main process may have been reaped as well.
func (j *job) mayTell(from *unix.Ucred) bool {
	if int(from.Uid) == os.Geteuid() || from.Uid == 0 || int(from.Pid) == j.pid {
		return true
	}
	if j.nested != nil {
		return descends(int(from.Pid), j.loop.PID())
	}
	of := j.v.attribute(int(from.Pid))
	return of != nil && of == j.loop
}

// descends says whether a process is below another, by the parents of each.
func descends(pid, from int) bool {
	const deepest = 1000
	for range deepest {
		stat, err := proc.ReadStat(pid)
		if err != nil || stat.Parent <= 1 {
			return false
		}
		if pid = stat.Parent; pid == from {
			return true
		}
	}
	return false
}

// hear reads a message: lines of NAME=VALUE.
func (n *readiness) hear(j *job, pid int, message []byte) {
	isReady := false
	for line := range bytes.SplitSeq(message, []byte("\n")) {
		if status, ok := bytes.CutPrefix(line, []byte("STATUS=")); ok {
			n.status = string(bytes.ToValidUTF8(status, []byte("\ufffd")))
		}
		isReady = isReady || string(line) == "READY=1"
	}
	if isReady && !n.told {
		n.told = true
		j.v.notify(protocol.NoteReady, &protocol.JobReady{Job: j.number, PID: pid, Status: n.status, Time: now()})
	}
}

// hearAll takes what the job has said so far.
func (n *readiness) hearAll(j *job) {
	if n != nil && n.fd >= 0 {
		n.read(j, maxMessages)
	}
}

// close closes the socket, once. What the job has said before its end is heard first.
func (n *readiness) close(j *job) {
	if n == nil || n.fd < 0 {
		return
	}
	n.read(j, maxMessages)
	j.v.poller.Forget(n.fd)
	unix.Close(n.fd)
	n.fd = -1
}
