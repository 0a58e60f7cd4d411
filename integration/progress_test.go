package integration

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A window is a session's terminal as people see it, through changes of its size.
type window struct {
	*session
	sizes []resized
}

// resized is a size of the window, from that byte of the output on.
type resized struct {
	from int
	size unix.Winsize
}

// window opens a shell in a window.
func (b *box) window(rows, cols uint16) *window {
	b.t.Helper()
	w := &window{session: b.shell()}
	w.command("export TERM=xterm; cd " + b.dir)
	w.resize(rows, cols)
	w.sizes[0].from = 0
	return w
}

func (w *window) resize(rows, cols uint16) {
	w.t.Helper()
	size := unix.Winsize{Row: rows, Col: cols}
	w.sizes = append(w.sizes, resized{len(w.screen.String()), size})
	w.must(unix.IoctlSetWinsize(w.fd, unix.TIOCSWINSZ, &size))
}

// look returns what the window shows, each row without blanks at its end, and the cursor.
func (w *window) look() (rows []string, cursor vt10x.Cursor) {
	text := w.screen.String()
	var v vt10x.Terminal
	for i, r := range w.sizes {
		end := len(text)
		if i+1 < len(w.sizes) {
			end = w.sizes[i+1].from
		}
		if v == nil {
			v = vt10x.New(vt10x.WithSize(int(r.size.Col), int(r.size.Row)))
		} else {
			v.Resize(int(r.size.Col), int(r.size.Row))
		}
		v.Write([]byte(text[r.from:end]))
	}
	rows = strings.Split(strings.TrimSuffix(v.String(), "\n"), "\n")
	for i := range rows {
		rows[i] = strings.TrimRight(rows[i], " ")
	}
	return rows, v.Cursor()
}

// until waits until the window shows something.
func (w *window) until(what string, ok func(rows []string) bool) {
	w.t.Helper()
	eventually(w.t, what, func() error {
		rows, _ := w.look()
		if ok(rows) {
			return nil
		}
		return fmt.Errorf("the window is %q", rows)
	})
}

var progressLine = regexp.MustCompile(`^supervise: 0:\d\d(, cpu \d+\.\d s)?(, memory [0-9.]+ [KMG]iB( of [0-9.]+ [KMG]iB)?)?, (\d+) process(es)?$`)

// hasLine says whether the last row is the line of progress, and no other has a part of one.
func hasLine(rows []string) bool {
	last := len(rows) - 1
	return progressLine.MatchString(rows[last]) && hasNone(rows[:last])
}

func hasNone(rows []string) bool { return !strings.Contains(strings.Join(rows, "\n"), "supervise:") }

// progressWays are the terminals that a job can have.
var progressWays = []string{"", "--pty"}

// forEachProgress runs a test for each of them, in each containment.
func forEachProgress(t *testing.T, test func(t *testing.T, flags string)) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, way := range progressWays {
			t.Run("terminal"+way, func(t *testing.T) { test(t, c.flag()+" "+way) })
		}
	})
}

// progressCommand is a command line, as typed.
func progressCommand(flags, script string) string {
	return fmt.Sprintf("%s run %s -- sh -c '%s'", bin.supervise, flags, script)
}

// afterRun is what a window shows after a job, and after more lines than it has. Shown is called while the job runs.
func afterRun(t *testing.T, line string, shown func(w *window)) (at [2]string, status string) {
	t.Helper()
	w := newBox(t).window(20, 70)
	w.keys(line + "\n")
	w.see("up")
	shown(w)
	w.see(prompt)
	look := func() string {
		rows, cursor := w.look()
		return fmt.Sprintf("%s\n%d,%d", strings.Join(rows, "\n"), cursor.X, cursor.Y)
	}
	at[0] = look()
	status = w.status()
	w.command("seq 100")
	at[1] = look()
	w.leave()
	return at, status
}

// progressEnds are ways for a job to end, some with a key that it reads.
var progressEnds = []struct{ name, flags, script, key string }{
	{"exit", "", `echo up; echo a; read x; echo b; printf c; exit 3`, "\n"},
	{"half a line", "", `echo up; printf a; read x; printf b`, "\n"},
	{"timeout", "--timeout=5", `echo a; printf up; exec sleep 10000`, ""},
	{"Ctrl-C", "", `echo a; printf up; exec sleep 10000`, ctrlC},
	{"killed", "", `echo up; read x; kill -KILL $$`, "\n"},
	{"leftovers", "--leftovers=fail", `trap "" HUP; echo up; sleep 10000 & read x; exit 0`, "\n"},
	{"SIGTERM", "", `echo up; read x; kill -TERM $PPID; exec sleep 10000`, "\n"},
}

// TestProgressGone: the line is there while the job runs; at its end, whatever that is, the window is as without it.
func TestProgressGone(t *testing.T) {
	for i, end := range progressEnds {
		if testing.Short() && i >= 2 {
			break
		}
		t.Run(end.name, func(t *testing.T) {
			forEachProgress(t, func(t *testing.T, flags string) {
				line := func(more string) string { return progressCommand(flags+" "+end.flags+more, end.script) }
				press := func(w *window) { w.keys(end.key) }
				want, status := afterRun(t, strings.Replace(line(""), "=5", "=0.3", 1), press)
				got, gotStatus := afterRun(t, line(" --progress=100ms"), func(w *window) {
					w.until("a line", hasLine)
					press(w)
				})
				if gotStatus != status || withoutName(got) != withoutName(want) {
					t.Errorf("status %s, window %s\nwithout a line %s, %s", gotStatus, got, status, want)
				}
			})
		})
	}
}

// namedProcess may be the shell or what that is about to execute.
var namedProcess = regexp.MustCompile(`\w+ \(\d+\)`)

func withoutName(at [2]string) [2]string {
	for i := range at {
		at[i] = namedProcess.ReplaceAllString(at[i], "one")
	}
	return at
}

// TestProgressScrolls: what the job prints scrolls above the line, and all of it is there.
func TestProgressScrolls(t *testing.T) {
	forEachProgress(t, func(t *testing.T, flags string) {
		w := newBox(t).window(20, 70)
		w.keys(progressCommand(flags+" --progress=100ms", `seq 1 50; read x; seq 51 80; read x; seq 81 100; echo end`) + "\n")
		for _, last := range []int{50, 80} {
			w.until("a line below the numbers", func(rows []string) bool { return hasLine(rows) && endsWith(rows[:19], last) })
			w.keys("\n")
		}
		w.see("end")
		w.see(prompt)
		rows, _ := w.look()
		text := strings.TrimSpace(strings.Join(rows, "\n"))
		rows = strings.Split(strings.TrimSuffix(text, "\nend\n"+strings.TrimSpace(prompt)), "\n")
		if !hasNone(rows) || len(rows) < 16 || !endsWith(append(rows, ""), 100) {
			t.Errorf("the window is %q", rows)
		}
		w.leave()
	})
}

// endsWith says whether all rows but the last, where the cursor is, are numbers that end with that one.
func endsWith(rows []string, last int) bool {
	for i := len(rows) - 2; i >= 0; i, last = i-1, last-1 {
		if rows[i] != fmt.Sprint(last) {
			return false
		}
	}
	return true
}

// TestProgressResize: in a window of another size the line is in its last row, and nowhere else.
func TestProgressResize(t *testing.T) {
	forEachProgress(t, func(t *testing.T, flags string) {
		w := newBox(t).window(20, 70)
		w.keys(progressCommand(flags+" --progress=100ms", `echo; echo first; echo second; read x; echo third`) + "\n")
		lines := func(rows []string) bool { return strings.Contains(strings.Join(rows, "\n"), "first\nsecond") }
		w.until("a line", func(rows []string) bool { return hasLine(rows) && lines(rows) })
		for _, size := range [][2]uint16{{30, 70}, {30, 90}, {12, 80}, {25, 60}} {
			w.resize(size[0], size[1])
			w.until("a line in the new last row", func(rows []string) bool {
				return len(rows) == int(size[0]) && hasLine(rows) && lines(rows)
			})
		}
		w.resize(10, 16)
		w.until("a line that is cut", func(rows []string) bool {
			return len(rows) == 10 && strings.HasPrefix(rows[9], "supervise: 0:") && len(rows[9]) <= 15 && hasNone(rows[:9]) && lines(rows)
		})
		w.keys("\n")
		w.see("third")
		w.see(prompt)
		if rows, _ := w.look(); !hasNone(rows) || !lines(rows) {
			t.Errorf("the window is %q", rows)
		}
		w.leave()
	})
}

// TestProgressStop: while the job is stopped, or in the background, the terminal is the shell's.
func TestProgressStop(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for name, around := range map[string]string{"prompt": "%s", "script": "sh -c '%s; true'", "pipeline": "%s | cat"} {
			t.Run(name, func(t *testing.T) {
				w := newBox(t).window(20, 70)
				w.keys(fmt.Sprintf(around, job(t, []string{bin.supervise, "run", "--progress=100ms", c.flag(), "--"})) + "\n")
				w.seeStarted()
				for range 2 {
					w.until("a line", hasLine)
					w.keys(ctrlZ)
					w.see("Stopped")
					w.until("no line", hasNone)
					w.command("seq 100")
					w.until("the numbers", func(rows []string) bool { return endsWith(rows, 100) && hasNone(rows) })
					w.keys("fg\n")
					w.see("continued")
				}
				w.until("a line", hasLine)
				w.keys(ctrlC)
				w.see(prompt)
				w.until("no line", hasNone)
				w.leave()
			})
		}
	})
}

// TestProgressPTYStop: the same for the copying.
func TestProgressPTYStop(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		w := newBox(t).window(20, 70)
		w.startPTY(ptyLine(c, "--progress=100ms", job(t, nil)))
		for range 2 {
			w.until("a line", hasLine)
			w.must(syscall.Kill(w.foreground(), unix.SIGTSTP))
			w.see("Stopped")
			w.see(prompt)
			w.until("no line", hasNone)
			w.keys("fg\n")
		}
		w.until("a line", hasLine)
		w.keys(ctrlC)
		w.see(prompt)
		w.until("no line", hasNone)
		w.leave()
	})
}

// TestProgressKeys: a job that reads keys has the whole window.
func TestProgressKeys(t *testing.T) {
	forEachProgress(t, func(t *testing.T, flags string) {
		w := newBox(t).window(20, 70)
		w.keys(progressCommand(flags+" --progress=100ms", `echo up; read x; stty -icanon min 1; echo raw; read x; seq 100; stty icanon; echo cooked; read x`) + "\n")
		w.until("a line", hasLine)
		w.keys("\n")
		w.see("raw")
		w.until("no line", hasNone)
		w.keys("\n")
		w.see("cooked")
		w.until("a line", func(rows []string) bool { return hasLine(rows) && rows[17] == "cooked" })
		w.keys("\n")
		w.see(prompt)
		w.until("no line", hasNone)
		w.leave()
	})
}

// TestProgressFullScreen: an editor on a terminal of its own has the whole window, and leaves it as it was.
func TestProgressFullScreen(t *testing.T) {
	_, err := os.Stat("/usr/bin/vim")
	testbed.Need(t, "vim", err)
	forEachContainment(t, func(t *testing.T, c containment) {
		w := newBox(t).window(20, 70)
		w.keys(progressCommand(c.flag()+" --pty --progress=100ms", `echo up; read x; vim -u NONE -i NONE -N -n file; echo edited; read x`) + "\n")
		w.until("a line", hasLine)
		w.keys("\r")
		w.until("an empty file", func(rows []string) bool { return rows[1] == "~" && rows[18] == "~" && hasNone(rows) })
		w.keys("ihello\x1b")
		w.until("the text", func(rows []string) bool { return rows[0] == "hello" && hasNone(rows) })
		w.keys(":wq\r")
		w.see("edited")
		w.until("a line", hasLine)
		w.keys("\r")
		w.see(prompt)
		w.until("no line", hasNone)
		w.leave()
	})
}

// TestProgressOff: nothing is written where there is no terminal to draw on, or it is another's.
func TestProgressOff(t *testing.T) {
	for name, around := range map[string]string{
		"file": "%s 2>err; cat err", "dumb": "TERM=dumb %s", "unset": "env -u TERM %s", "background": "%s & wait", "setsid": "setsid -w %s",
	} {
		t.Run(name, func(t *testing.T) {
			forEachContainment(t, func(t *testing.T, c containment) {
				w := newBox(t).window(20, 70)
				// The second after which a line would be drawn.
				got := w.command(fmt.Sprintf(around, progressCommand(c.flag()+" --progress=100ms", "echo a; sleep 0.3; echo b")))
				if strings.ContainsAny(got, "\x1b") || !strings.Contains(got, "a\r\nb") {
					t.Errorf("%q", got)
				}
				w.leave()
			})
		})
	}
}

// TestProgressOne: of two that run on one terminal, one is shown: that which had a line first.
func TestProgressOne(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		w := newBox(t).window(20, 70)
		inner := strings.ReplaceAll(progressCommand(c.flag()+" --progress=100ms", "echo job-$((1+1)); read x"), "'", `"`)
		w.keys(progressCommand(c.flag()+" --progress=100ms", inner+"; true") + "\n")
		w.see("job-2") // before that the outer one counts less
		count := regexp.MustCompile(`supervise: 0:\d\d[^\x1b]*, (\d+) process`)
		var later [][]string
		eventually(t, "ten lines", func() error {
			if later = count.FindAllStringSubmatch(w.screen.String()[w.seen:], -1); len(later) < 10 {
				return fmt.Errorf("%q", later)
			}
			return nil
		})
		for _, m := range later[1:] { // the first may have been counted before
			if (m[1] == "1") != (later[9][1] == "1") {
				t.Errorf("the inner one, which counts 1, has drawn as well as the outer: %q", later)
				break
			}
		}
		w.keys("\n")
		w.see(prompt)
		w.until("no line", hasNone)
		w.leave()
	})
}

// TestProgressKnown: the line has what is known of the job. Without the memory controller that is not its memory, and without a
// cgroup not its processor time.
func TestProgressKnown(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		limit, want := "", `^supervise: 0:\d\d, 2 processes$`
		if c == inCgroup {
			data, _ := os.ReadFile(b.group.file("cgroup.controllers"))
			want = `^supervise: 0:\d\d, cpu \d+\.\d s, 2 processes$`
			if strings.Contains(string(data), "memory") {
				limit, want = "--memory-max=64M", `^supervise: 0:\d\d, cpu \d+\.\d s, memory \d+(\.\d)? [KM]iB of 64.0 MiB, 2 processes$`
			}
		}
		w := b.window(20, 70)
		w.keys(progressCommand(c.flag()+" --progress=100ms "+limit, `echo up; sleep 10000 & read x`) + "\n")
		pattern := regexp.MustCompile(want)
		w.until("what is known", func(rows []string) bool { return pattern.MatchString(rows[19]) })
		w.keys("\n")
		w.see(prompt)
		w.leave()
	})
}
