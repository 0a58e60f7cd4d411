package run

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
)

// A bottomLine is the last row of the terminal at standard error, taken out of what scrolls
// (DECSTBM) while something is written there. What the job prints scrolls above it, and the
// cursor is where the job has left it. Each change is one write(2), so that the kernel puts
// nothing of the job's between its bytes.
type bottomLine struct {
	out  wire.End
	size unix.Winsize // when it was drawn; zero: it is not there
}

const (
	saveCursor    = "\x1b7" // with its colours
	restoreCursor = "\x1b8"
	wholeScreen   = saveCursor + "\x1b[r" + restoreCursor // scrolls: to set the region moves the cursor
	// belowCursor erases what is there. A job that reads lines has nothing there.
	belowCursor = saveCursor + "\x1b[m\x1b[E\x1b[J" + restoreCursor
)

// isThere says whether it is on the screen.
func (l *bottomLine) isThere() bool { return l.size.Row > 0 }

// draw shows a text, cut to the width. It sets up everything anew, since a program may have
// reset the terminal meanwhile. The cursor is to be above the last row: one step down, which
// scrolls if it was there, and one up.
func (l *bottomLine) draw(text string) {
	size, err := unix.IoctlGetWinsize(l.out.FD(), unix.TIOCGWINSZ)
	if err != nil || size.Row < 3 || size.Col < 2 {
		l.erase()
		return
	}
	if !ready(l.out.FD(), unix.POLLOUT) {
		return // the user has stopped the output
	}
	if last := int(size.Col) - 1; len(text) > last { // one less, as some terminals wrap there
		text = text[:last]
	}
	var b strings.Builder
	b.WriteString(wholeScreen)
	b.WriteString(l.moved(size))
	fmt.Fprintf(&b, "\x1bD\x1b[A"+saveCursor+"\x1b[1;%dr\x1b[%d;1H\x1b[0;7m%s\x1b[m\x1b[K"+restoreCursor, size.Row-1, size.Row, text)
	l.write(b.String())
	l.size = *size
}

// moved erases the line from where it was before the window got another size. Terminals
// differ in that: some keep the top of the screen in place, some the bottom, and some break a
// line anew. All drop rows at the bottom first when there are fewer.
func (l *bottomLine) moved(size *unix.Winsize) string {
	if !l.isThere() || *size == l.size || size.Row < l.size.Row {
		return ""
	}
	return belowCursor
}

// erase gives the row back.
func (l *bottomLine) erase() {
	if !l.isThere() {
		return
	}
	size, err := unix.IoctlGetWinsize(l.out.FD(), unix.TIOCGWINSZ)
	if err != nil {
		size = &l.size
	}
	gone := l.moved(size)
	if *size == l.size {
		gone = fmt.Sprintf(saveCursor+"\x1b[%d;1H\x1b[m\x1b[2K"+restoreCursor, size.Row)
	}
	l.write(wholeScreen + gone)
	l.size = unix.Winsize{}
}

// write writes all of a text. It is allowed in the background, too, where the user has
// forbidden it (stty tostop). A terminal that takes nothing is waited for no longer than by
// relay.finish.
func (l *bottomLine) write(text string) {
	until := time.Now().Add(patience * time.Millisecond)
	for b := []byte(text); len(b) > 0; {
		fds := []unix.PollFd{{Fd: int32(l.out.FD()), Events: unix.POLLOUT}}
		left := max(0, time.Until(until).Milliseconds())
		if n, err := unix.Poll(fds, int(left)); err != unix.EINTR && (err != nil || n == 0) {
			return
		}
		var n int
		var err error
		fromBehind(func() { n, err = l.out.Write(b) })
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return
		}
		b = b[max(n, 0):]
	}
}
