package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// A view is a full-screen program, and what its terminal shows.
type view struct {
	*session
	vt  vt10x.Terminal
	fed int // bytes of the output that the terminal has got
}

// view starts a program on a terminal of that size.
func (b *box) view(cols, rows int, env []string, argv ...string) *view {
	b.t.Helper()
	v := &view{&session{t: b.t}, vt10x.New(vt10x.WithSize(cols, rows)), 0}
	slave := v.openTerminal()
	defer slave.Close()
	v.resizeTo(cols, rows)
	v.session.screen = collect(v.master)
	b.t.Cleanup(v.hangUp)
	v.proc = b.start(launch{
		argv: argv, env: append([]string{"TERM=xterm-256color", "LC_ALL=C.UTF-8"}, env...), stdin: slave, stdout: slave, stderr: slave,
		deadline: time.Minute, attr: syscall.SysProcAttr{Setsid: true, Setctty: true},
	})
	return v
}

func (v *view) resizeTo(cols, rows int) {
	v.t.Helper()
	if err := unix.IoctlSetWinsize(v.fd, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)}); err != nil {
		v.t.Fatal(err)
	}
	v.vt.Resize(cols, rows)
}

// shows waits until the screen is right.
func (v *view) shows(what string, right func(screen string) bool) {
	v.t.Helper()
	var screen string
	if !v.session.screen.waitUntil(func(all string) bool {
		v.vt.Write([]byte(all[v.fed:]))
		v.fed = len(all)
		screen = v.vt.String()
		return right(screen)
	}) {
		v.t.Fatalf("waited for %s; the screen:\n%s", what, screen)
	}
}

func (v *view) showsText(texts ...string) {
	v.t.Helper()
	v.shows(fmt.Sprintf("%q", texts), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// TestTop: what is said of a job, its details, the questions, and what is done after them.
func TestTop(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.called("job", c, sh(`trap 'exit 5' TERM; echo ready; while :; do :; done`)...))
		p.expect("ready")
		id := b.job("job").ID
		v := b.view(80, 24, nil, bin.supervise, "top", "--every=100ms")
		v.showsText("JOB") // from here on it reads keys
		v.keys("/" + b.prefix() + "\r")
		v.showsText("with", id[:12])
		v.shows("some use of a processor", func(screen string) bool { return strings.ContainsAny(screen, "▂▃▄▅▆▇█") })
		v.keys("\r")
		v.showsText("supervisor", "waited for", "COMMAND", "esc back")
		v.keys("\x1b")
		v.showsText("enter details")
		v.keys("/" + b.prefix() + "\r")
		v.keys("f")
		v.showsText("freeze " + id + "? y, n")
		v.keys("n")
		v.showsText("enter details")
		v.keys("f")
		v.keys("y")
		if c == inCgroup {
			v.showsText(id + ": frozen")
			v.keys("t")
			v.keys("y")
			v.showsText(id + ": thawed")
		} else {
			v.showsText("held by descent")
		}
		v.keys("l")
		v.showsText("limit " + id)
		v.keys("no-such-limit 1\r")
		v.showsText("no-such-limit")
		v.keys("k")
		v.showsText("kill " + id)
		v.keys("g")
		p.wait().wantCode(5)
		v.showsText(id + ": killed")
		v.keys("q")
		v.wait().wantCode(0)
	})
}

// TestTopSizes: it fits any terminal, without colour too, and leaves it as it was.
func TestTopSizes(t *testing.T) {
	b := newBox(t)
	p := b.start(b.called("job", inSubreaper, sh(`echo ready; read x`)...))
	p.expect("ready")
	for _, env := range []string{"COLORTERM=truecolor", "NO_COLOR=1", "TERM=linux"} {
		v := b.view(80, 24, []string{env}, bin.supervise, "top", "--every=100ms")
		v.showsText("JOB", "MEMORY", "q quit")
		for _, size := range [][2]int{{40, 10}, {132, 50}, {200, 60}, {20, 5}, {80, 24}} {
			v.resizeTo(size[0], size[1])
			v.shows(fmt.Sprint(size), func(screen string) bool {
				lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
				last := lines[len(lines)-1]
				return strings.Contains(screen, "JOB") && strings.HasPrefix(last, "↑↓") && (size[0] < 132 || strings.Contains(screen, "OWNER"))
			})
		}
		v.keys("q")
		v.wait().wantCode(0)
		var all string
		if !v.session.screen.waitUntil(func(text string) bool { // it comes a little after the end
			all = text
			return strings.LastIndex(all, "\x1b[?1049h") < strings.LastIndex(all, "\x1b[?1049l") && strings.LastIndex(all, "\x1b[?25l") < strings.LastIndex(all, "\x1b[?25h")
		}) {
			t.Errorf("%s: the other screen is still on, or the cursor hidden: %q", env, tail(all))
		}
		if env == "NO_COLOR=1" && strings.Contains(all, "\x1b[1;36m") {
			t.Errorf("colours: %q", tail(all))
		}
	}
	p.closeStdin()
	p.wait()
}

// TestTopMisused: one clear line.
func TestTopMisused(t *testing.T) {
	b := newBox(t)
	for line, code := range map[string]int{"--no-such": 2, "--every x": 2, "--every 1ms": 2, "job": 2, "": 125} {
		o := b.start(launch{argv: append([]string{bin.supervise, "top"}, strings.Fields(line)...)}).wait()
		o.wantCode(code)
		o.wantOneLine("supervise-top: ")
	}
}
