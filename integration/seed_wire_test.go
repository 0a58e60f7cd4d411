package integration

import (
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
)

// The wire of the seed: a request is two int32, pid and signal; an event is a siginfo_t as waitid fills it.
const (
	requestSize = 8
	eventSize   = 128
)

// Values of si_code.
const (
	cldExited    = 1
	cldKilled    = 2
	cldDumped    = 3
	cldStopped   = 5
	cldContinued = 6
)

// An event is what the tests look at in a siginfo_t.
type event struct {
	code, pid, status int
}

func (e event) String() string {
	names := map[int]string{cldExited: "exited", cldKilled: "killed", cldDumped: "dumped", cldStopped: "stopped", cldContinued: "continued"}
	name := names[e.code]
	if name == "" {
		name = fmt.Sprintf("code %d", e.code)
	}
	return fmt.Sprintf("%d %s %d", e.pid, name, e.status)
}

// parseEvent insists on every byte: what waitid does not fill is zero.
func parseEvent(b []byte) (event, error) {
	if len(b) != eventSize {
		return event{}, fmt.Errorf("an event of %d bytes", len(b))
	}
	field := func(offset int) int { return int(int32(binary.NativeEndian.Uint32(b[offset:]))) }
	e := event{code: field(8), pid: field(16), status: field(24)}
	if field(0) != int(syscall.SIGCHLD) || field(4) != 0 {
		return e, fmt.Errorf("event %v: si_signo %d, si_errno %d", e, field(0), field(4))
	}
	clear(b[:12])
	clear(b[16:28]) // pid, uid, status
	if strings.Trim(string(b), "\x00") != "" {
		return e, fmt.Errorf("event %v: bytes that waitid does not fill: %x", e, b)
	}
	return e, nil
}

func request(pid, sig int) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(pid))
	return binary.NativeEndian.AppendUint32(b, uint32(sig))
}
