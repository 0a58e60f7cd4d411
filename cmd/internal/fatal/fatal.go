//go:build amd64 || arm64

package fatal

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Last and what it calls are as the guardian's twin, and as unsafe: no allocation, no
// growth of the stack, no lock, nothing but raw system calls. All is static.

// Also in fatal_*.s.
const (
	stackSize = 32 << 10
	textSize  = 64 << 10
)

var (
	said    uint64 // bytes of text
	leaving uint64 // 1: a thread is in last
	text    [textSize]byte
	stack   [stackSize]byte //nolint:unused // last's own: that of the thread may be at its end
)

// The assembly uses these, which the linter does not see.
var _, _ = last, &leaving

// last tells why the runtime ends, and exits.
//
//go:norace
//go:nosplit
func last() {
	if w := shortage(); w != nil {
		if isBinary() {
			EndChildren()
		}
		complain(w)
	} else {
		write()
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 125, 0, 0)
	}
}

// A want is something of which there is too little: a word of the runtime's for it, and
// what to say. It is static data.
type want struct{ word, message string }

const (
	noThread     = ": no thread can be started, as too few processes are allowed here (ulimit -u, pids.max)"
	noMemory     = ": out of memory, as too little of it is allowed here (ulimit -v)"
	noDescriptor = ": no descriptor can be opened, as too few are allowed here (ulimit -n)"
	insteadOf    = "; a limit for the command alone: supervise run -- prlimit "
)

var wants = [...]want{
	{"thread", noThread + insteadOf + "--nproc=N COMMAND\n"},
	{"memory", noMemory + insteadOf + "--as=N COMMAND\n"},
	{"eventfd", noDescriptor + insteadOf + "--nofile=N COMMAND\n"},
	{"epoll", noDescriptor + insteadOf + "--nofile=N COMMAND\n"},
}

// shortage finds out what is short from the first line that the runtime has said; nil: it
// is something else. A runtime error is, of which a nil pointer's speaks of a memory address.
//
//go:norace
//go:nosplit
func shortage() *want {
	if hasWord(0, "runtime error: ") { // the runtime has said "panic: " before, which is not kept
		return nil
	}
	for i := uint64(0); i < said && text[i] != '\n'; i++ {
		for k := range wants {
			if hasWord(i, wants[k].word) {
				return &wants[k]
			}
		}
	}
	return nil
}

// hasWord says whether the text has a word at i.
//
//go:norace
//go:nosplit
func hasWord(i uint64, word string) bool {
	for k := range word {
		if i+uint64(k) >= said || text[i+uint64(k)] != word[k] {
			return false
		}
	}
	return true
}

// own is the name of supervise, siblings those of the programs beside it.
const own = "supervise"

var siblings = [...]string{"supervise-scope", "supervise-oci", "supervise-report", "supervise-top"}

var comm [16]byte // TASK_COMM_LEN

// sibling returns the name of the program if it is one of the siblings (prctl(2),
// PR_GET_NAME); "": it is supervise, by whatever name.
//
//go:norace
//go:nosplit
func sibling() string {
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_GET_NAME, uintptr(unsafe.Pointer(&comm)), 0)
	for _, name := range &siblings {
		n := 0
		for n < len(name) && n < len(comm) && comm[n] == name[n] {
			n++
		}
		if n == len(name) || n == len(comm)-1 { // the kernel cuts it
			return name
		}
	}
	return ""
}

var cmdline = [...]byte{'/', 'p', 'r', 'o', 'c', '/', 's', 'e', 'l', 'f', '/', 'c', 'm', 'd', 'l', 'i', 'n', 'e', 0}

// isBinary says whether this is supervise without arguments.
//
//go:norace
//go:nosplit
func isBinary() bool {
	if sibling() != "" {
		return false
	}
	fd := open(&cmdline[0])
	n := read(fd)
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	ends := 0
	for i := 0; i < n && i < len(list); i++ {
		if list[i] == 0 {
			ends++
		}
	}
	return ends == 1
}

// complain writes one line.
//
//go:norace
//go:nosplit
func complain(w *want) {
	said = 0 // it is of no more use
	if name := sibling(); name != "" {
		say(name)
	} else {
		say(own)
	}
	say(w.message)
	write()
}

//go:norace
//go:nosplit
func say(s string) {
	for i := range len(s) {
		text[said%textSize] = s[i]
		said++
	}
}

//go:norace
//go:nosplit
func write() {
	syscall.RawSyscall(unix.SYS_WRITE, 2, uintptr(unsafe.Pointer(&text)), uintptr(said))
}
