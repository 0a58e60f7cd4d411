package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Duration reads a Go duration (1m30s, 500ms), or a number of seconds as timeout(1) and
// systemd have it.
func Duration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if seconds, e := strconv.ParseFloat(value, 64); err != nil && e == nil && seconds < math.MaxInt64/1e9 {
		d, err = time.Duration(seconds*1e9), nil
	}
	if err != nil || d < 0 || d == 0 && strings.ContainsAny(value, "123456789") {
		return 0, errors.New("want a duration such as 90, 1m30s or 500ms")
	}
	return d, nil
}

// ErrNoDescriptor says that a value does not name a descriptor at all.
var ErrNoDescriptor = errors.New("want an open descriptor such as fd:3")

// Descriptor reads fd:N and checks that the descriptor is open. Programs that are
// executed later do not inherit it.
func Descriptor(value string) (fd int, err error) {
	n, err := strconv.Atoi(strings.TrimPrefix(value, "fd:"))
	if err != nil || n < 0 || n > math.MaxInt32 || !strings.HasPrefix(value, "fd:") {
		return -1, ErrNoDescriptor
	}
	if _, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err != nil {
		return -1, fmt.Errorf("descriptor %d is not open", n)
	}
	if n > 2 {
		unix.CloseOnExec(n)
	}
	return n, nil
}
