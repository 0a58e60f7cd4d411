package resident

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// TakeName names this process, the first thread of it, for ps(1) and killall(1): what was executed as /proc/self/exe is called
// exe. The kernel keeps 15 bytes (PR_SET_NAME).
func TakeName(name string) {
	var text [16]byte
	copy(text[:15], name)
	unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&text)), 0, 0, 0)
}
