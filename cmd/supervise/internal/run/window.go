package run

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/pty"
)

// size is what the command line says; else that of the terminal, which is followed; else
// what LINES and COLUMNS say.
func (r *relay) size(c *commandLine) (rows, cols uint16) {
	if c.rows > 0 {
		return c.rows, c.cols
	}
	for fd := range 3 {
		if w, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil && w.Row > 0 && w.Col > 0 {
			r.window = fd
			return w.Row, w.Col
		}
	}
	return lines("LINES", 24), lines("COLUMNS", 80)
}

func lines(variable string, otherwise uint16) uint16 {
	n, err := strconv.ParseUint(os.Getenv(variable), 10, 16)
	if err != nil || n == 0 {
		return otherwise
	}
	return uint16(n)
}

var errSize = errors.New("want rows and columns, such as --pty=24x80")

// setPTY takes the size of the terminal, "" for that of the one around.
func setPTY(c *commandLine, v string) error {
	c.pty, c.rows, c.cols = true, 0, 0
	if v == "" {
		return nil
	}
	rows, cols, _ := strings.Cut(v, "x")
	r, err := strconv.ParseUint(rows, 10, 16)
	if err != nil || r == 0 {
		return errSize
	}
	n, err := strconv.ParseUint(cols, 10, 16)
	if err != nil || n == 0 {
		return errSize
	}
	c.rows, c.cols = uint16(r), uint16(n)
	return nil
}

// resize gives the job's terminal the size of the window. What has no size now keeps its
// last one.
func (r *relay) resize() {
	if r.window < 0 || r.master < 0 {
		return
	}
	if w, err := unix.IoctlGetWinsize(r.window, unix.TIOCGWINSZ); err == nil && w.Row > 0 && w.Col > 0 {
		pty.SetSize(r.master, w.Row, w.Col)
	}
}

// ours says whether this process may change the modes of the terminal at standard input:
// it is in the foreground, or the terminal is not its controlling one (TIOCGPGRP fails).
func (r *relay) ours() bool {
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// makeRaw is cfmakeraw(3). In the background it does nothing: the terminal is the shell's.
func (r *relay) makeRaw() {
	if r.modes == nil || r.finished || !r.ours() {
		return
	}
	raw := *r.modes
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	r.raw = unix.IoctlSetTermios(0, unix.TCSETSW, &raw) == nil || r.raw
}

// hasLines says whether a terminal gives lines, and not each key: it is not raw.
func hasLines(fd int) bool {
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil && modes.Lflag&unix.ICANON != 0
}

// restore puts the modes back, unless the terminal is another's by now. Flushed says that
// what was written to it will be out (TCSETSW waits for that).
func (r *relay) restore(flushed bool) {
	if !r.raw || !r.ours() {
		return
	}
	how := uint(unix.TCSETSW)
	if !flushed {
		how = unix.TCSETS
	}
	fromBehind(func() { unix.IoctlSetTermios(0, how, r.modes) })
	r.raw = false
}
