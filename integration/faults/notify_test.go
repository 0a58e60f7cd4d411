package faults

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A call is one that a process of supervise makes, as far as it tells it from others: what is the same in each run.
type call struct {
	Role   string // how far below the first process
	Nr     uintptr
	Detail string // of the arguments
}

func (c call) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Role, callName(c.Nr), c.Detail))
}

// A fault is what is done to one call.
type fault struct {
	Call  call
	Nth   int // the first is 1
	Errno syscall.Errno
}

// A seen is what a notifier knows about a call.
type seen struct {
	Call    call
	Count   int
	Runtime bool     // made by Go's runtime
	Site    []string // functions, the innermost first; of the first one
}

// handler is supervise's own handler of signals.
const handler = "signals.handler"

// Of seccomp(2), by offset.
const (
	notifSize = 80
	offPID    = 8
	offNr     = 16
	offIP     = 24
	offArgs   = 32
	respSize  = 24
	offError  = 16
	offFlags  = 20
	notifRecv = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	notifSend = 0xc0182101
	flagGoes  = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// A notifier answers for the calls of one run, all of which come to it one after the other. It lets the job's pass, and counts
// those of supervise.
type notifier struct {
	fd    int
	exe   string
	names *symbols
	fault *fault // nil: none
	roles map[int]string
	pids  map[int]int // of a process: its depth
	calls map[call]*seen
	order []*seen
	hit   []string // the site of the fault; nil: it was not reached
}

func newNotifier(fd, first int, exe string, names *symbols, f *fault) *notifier {
	return &notifier{
		fd: fd, exe: exe, names: names, fault: f, roles: map[int]string{}, pids: map[int]int{first: 0}, calls: map[call]*seen{},
	}
}

// serve answers until no process is under the filter any more.
func (n *notifier) serve() error {
	defer unix.Close(n.fd)
	for {
		fds := []unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			return nil
		}
		var req [notifSize]byte
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), notifRecv, uintptr(unsafe.Pointer(&req))); errno != 0 {
			if errno == unix.EINTR || errno == unix.ENOENT { // the caller was killed
				continue
			}
			return errno
		}
		var resp [respSize]byte
		copy(resp[:8], req[:8])
		if errno := n.judge(req[:]); errno != 0 {
			binary.NativeEndian.PutUint32(resp[offError:], uint32(-int32(errno)))
		} else {
			binary.NativeEndian.PutUint32(resp[offFlags:], flagGoes)
		}
		for errno := unix.EINTR; errno == unix.EINTR; {
			_, _, errno = unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), notifSend, uintptr(unsafe.Pointer(&resp)))
		}
	}
}

// judge counts a call and says how it fails; 0: not.
func (n *notifier) judge(req []byte) syscall.Errno {
	tid := int(binary.NativeEndian.Uint32(req[offPID:]))
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", tid)); err == nil && exe != n.exe {
		return 0
	}
	r := report{tid: tid, nr: uintptr(int32(binary.NativeEndian.Uint32(req[offNr:]))), ip: binary.NativeEndian.Uint64(req[offIP:])}
	for i := range r.args {
		r.args[i] = binary.NativeEndian.Uint64(req[offArgs+8*i:])
	}
	c := call{Role: n.role(tid), Nr: r.nr, Detail: r.detail()}
	if f := n.names.table.PCToFunc(r.ip); f != nil && strings.HasSuffix(f.Name, handler) {
		c.Detail += handler
	}
	s := n.calls[c]
	if s == nil {
		s = &seen{Call: c, Site: n.names.site(tid, r.ip)}
		s.Runtime = byRuntime(s.Site)
		n.calls[c], n.order = s, append(n.order, s)
	}
	s.Count++
	if f := n.fault; f != nil && f.Call == c && f.Nth == s.Count && n.hit == nil {
		n.hit = append([]string{"in"}, n.names.site(tid, r.ip)...)
		return f.Errno
	}
	return 0
}

// role is how far a process is below the first one, when it is seen first.
func (n *notifier) role(tid int) string {
	if r, ok := n.roles[tid]; ok {
		return r
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	pid, parent := field(status, "Tgid:"), field(status, "PPid:")
	depth, ok := n.pids[pid]
	if !ok {
		depth = n.pids[parent] + 1
		n.pids[pid] = depth
	}
	r := [...]string{"supervise", "child", "grandchild", "below"}[min(depth, 3)]
	n.roles[tid] = r
	return r
}

func field(status []byte, name string) (number int) {
	_, rest, _ := bytes.Cut(status, []byte("\n"+name))
	fmt.Sscan(string(rest[:min(len(rest), 20)]), &number)
	return number
}

// A report is what the kernel tells of a call.
type report struct {
	tid  int
	nr   uintptr
	ip   uint64
	args [6]uint64
}

// detail tells a call from others of its kind, by an argument that is the same in each run.
func (r report) detail() string {
	switch of := calls[r.nr]; of.by {
	case byPath:
		return r.path(of.arg)
	case byFD:
		return r.fd(of.arg)
	case byNumber:
		return fmt.Sprintf("%#x", r.args[of.arg])
	case byFDAndNumber:
		return r.fd(0) + fmt.Sprintf(" %#x", r.args[of.arg])
	}
	return ""
}

// variable is what is another in each run.
var variable = regexp.MustCompile(`jobs-[0-9a-f]+|[0-9a-f]{8,}|[0-9]+`)

func (r report) path(arg int) string {
	buf := make([]byte, 256)
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", r.tid))
	if err != nil {
		return "?"
	}
	defer f.Close()
	n, _ := f.ReadAt(buf, int64(r.args[arg])) // it may end at a page that is not there
	if n <= 0 {
		return "?"
	}
	path, _, _ := bytes.Cut(buf[:n], []byte{0})
	return tail(string(path))
}

func (r report) fd(arg int) string {
	if int32(r.args[arg]) < 0 {
		return "-1"
	}
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", r.tid, int32(r.args[arg])))
	if err != nil {
		return "?"
	}
	return tail(target)
}

// tail is the end of a path, without what varies.
func tail(path string) string {
	if strings.Contains(path, "jobs-") {
		path = filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
	} else {
		path = filepath.Base(path)
	}
	return variable.ReplaceAllString(path, "N")
}

// receive takes the listener from the launcher.
func receive(sock int) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(sock, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) == 0 {
		return -1, errors.Join(errors.New("the launcher has sent no listener"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}
