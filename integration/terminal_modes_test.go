package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Jobs that have changed the modes, in a shell without job control, whose end was not their own. PARENT is the supervise
// that the shell has started.
var forced = []struct{ name, flags, script string }{
	{"main traps TERM", "", `trap "exit 1" TERM; stty raw; kill $PARENT; while :; do sleep 10000 & wait $!; done`},
	{"child of main, and a grace period", "--grace=10000", `trap : TERM; sh -c "stty raw; kill $PARENT; exec sleep 10000"; exit 0`},
	{"timeout", "--timeout=0.2", `trap : TERM; stty raw; sleep 10000; exit 0`},
	{"leftover", "", `stty raw; sleep 10000 & exit 0`},
	{"leftover that fails", "--leftovers=fail", `stty raw; sleep 10000 & exit 0`},
	{"leftover that is waited for", "--leftovers=wait --timeout=0.2", `stty raw; sleep 10000 & exit 0`},
	{"killed", "", `stty raw; kill -KILL $$`},
	{"interrupted", "", `stty raw; kill -INT $$`},
}

func TestTerminalModesForced(t *testing.T) {
	for _, f := range forced {
		t.Run(f.name, func(t *testing.T) {
			forEachContainment(t, func(t *testing.T, c containment) {
				b := newBox(t)
				s := b.shell()
				s.command("export FIFO=" + b.dir + "/fifo; mkfifo $FIFO")
				for _, in := range []string{"prompt", "script"} {
					before := s.modes()
					line := fmt.Sprintf(`%s run %s %s -- sh -c '%s'`, bin.supervise, c.flag(), f.flags, f.script)
					s.script("PARENT=$$; export PARENT; exec " + line)
					if in == "script" {
						s.keys(`sh -c 'sh $FIFO.sh; echo over; read x'` + "\n")
						s.see("over")
					} else {
						s.keys("sh $FIFO.sh\n")
						s.see(prompt)
					}
					if now := s.modes(); now != before {
						t.Errorf("%s: modes: %+v, before: %+v", in, now, before)
						unix.IoctlSetTermios(s.fd, unix.TCSETS, &before)
					}
					if in == "script" {
						s.keys("\n")
						s.see(prompt)
					}
				}
				s.leave()
			})
		})
	}
}

// script writes the script that the shell has as $FIFO.sh.
func (s *session) script(text string) {
	s.t.Helper()
	s.must(os.WriteFile(s.box.dir+"/fifo.sh", []byte(text+"\n"), 0o644))
}

// A job that ends by itself may have changed the modes on purpose.
func TestTerminalModesKept(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		for _, line := range []string{"%s stty -icanon", "sh -c '%s stty -icanon; true'"} {
			s := newBox(t).shell()
			s.command(fmt.Sprintf(line, strings.Join(prefix, " ")))
			if s.modes().Lflag&unix.ICANON != 0 {
				t.Errorf("%s: the modes were put back", line)
			}
			s.leave()
		}
	})
}

// The modes that another has set are not put back: a pager's, or a script's while its job runs in the background.
func TestTerminalModesOfOthers(t *testing.T) {
	const job = `sh -c "read go <$FIFO; kill -KILL \$\$"`
	for name, line := range map[string]string{
		"pager":      job + ` | sh -c 'stty -icanon </dev/tty; echo >$FIFO; cat; echo over; read x </dev/tty'`,
		"background": `sh -c '%s` + job + ` & stty -icanon; echo >$FIFO; wait; echo over; read x'`,
	} {
		t.Run(name, func(t *testing.T) {
			forEachPrefix(t, func(t *testing.T, prefix []string) {
				b := newBox(t)
				s := b.shell()
				s.command("export FIFO=" + b.dir + "/fifo; mkfifo $FIFO")
				p := strings.Join(prefix, " ") + " "
				if strings.Contains(line, "%s") {
					s.keys(fmt.Sprintf(line, p) + "\n")
				} else {
					s.keys(p + line + "\n")
				}
				s.see("over")
				if s.modes().Lflag&unix.ICANON != 0 {
					t.Error("the modes were put back")
				}
				s.keys("\n")
				s.see(prompt)
				s.leave()
			})
		})
	}
}
