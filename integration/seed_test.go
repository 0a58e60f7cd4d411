package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// sleeper is a child that ends only when it is told to.
var sleeper = []string{"/bin/sleep", "10000"}

func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

// killed is the event of a process that was SIGKILLed.
func killed(pid int) event { return event{cldKilled, pid, int(syscall.SIGKILL)} }

func TestSeedEvents(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, tt := range []struct {
			name   string
			child  []string
			code   int
			status int
		}{
			{"exit 0", []string{"/bin/true"}, cldExited, 0},
			{"exit 3", shell("exit 3"), cldExited, 3},
			{"exit 255", shell("exit 255"), cldExited, 255},
			{"killed", shell("kill -KILL $$"), cldKilled, 9},
			{"terminated", shell("kill -TERM $$"), cldKilled, 15},
			{"core dump", shell("ulimit -c unlimited; kill -QUIT $$"), cldDumped, 3},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if tt.code == cldDumped {
					testbed.Need(t, "core dumps", probeCore())
				}
				s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: [][]string{tt.child}})
				s.want(event{tt.code, s.pids[0], tt.status})
				s.wantExit(0) // no child is left
			})
		}
	})
}

// probeCore says why no process can dump core here: the hard limit.
func probeCore() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit.Max == unix.RLIM_INFINITY {
		return err
	}
	return fmt.Errorf("the hard limit is %d", limit.Max)
}

func TestSeedStopAndContinue(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: [][]string{sleeper}})
		pid := s.pids[0]
		for range 3 {
			s.send(pid, syscall.SIGSTOP)
			s.want(event{cldStopped, pid, int(syscall.SIGSTOP)})
			s.send(pid, syscall.SIGCONT)
			s.want(event{cldContinued, pid, int(syscall.SIGCONT)})
		}
		s.send(pid, syscall.SIGTSTP)
		s.want(event{cldStopped, pid, int(syscall.SIGTSTP)})
		s.kill(pid)
		s.wantExit(0)
	})
}

// A child that was stopped before supervise was there is reported too: waitid tells what nobody has collected.
func TestSeedStoppedAtExec(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: [][]string{shell("kill -STOP $$; exec sleep 10000")}})
		pid := s.pids[0]
		s.want(event{cldStopped, pid, int(syscall.SIGSTOP)})
		s.send(pid, syscall.SIGCONT)
		s.want(event{cldContinued, pid, int(syscall.SIGCONT)})
		s.kill(pid)
		s.wantExit(0)
	})
}

// Orphans become children of supervise, and are reported and signalled as such.
func TestSeedOrphans(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: [][]string{shell("sleep 10000 & echo $!; exit 5")}})
		s.want(event{cldExited, s.pids[0], 5})
		orphan := s.printedPid()
		s.send(orphan, syscall.SIGSTOP)
		s.want(event{cldStopped, orphan, int(syscall.SIGSTOP)})
		s.kill(orphan)
		s.wantExit(0)
	})
}

// printedPid is the number that a child has printed as its only line.
func (s *seed) printedPid() int {
	s.t.Helper()
	if !s.lines.waitUntil(func(text string) bool { return strings.Contains(text, "\n") }) {
		s.t.Fatal("the children have printed nothing")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(s.lines.String()))
	s.must(err)
	return pid
}

// Requests come one in a message, or several, or on byte streams in any pieces.
func TestSeedFraming(t *testing.T) {
	for via, sizes := range map[transport][]int{
		seqpacket: {8, 8, 16, 24, 40},
		stream:    {3, 5, 8, 16, 1, 1, 1, 1, 4, 12, 12, 32},
		pipes:     {3, 5, 8, 16, 1, 1, 1, 1, 4, 12, 12, 32},
	} {
		t.Run(string(via), func(t *testing.T) {
			s := newBox(t).startSeed(inSubreaper, via, seedSpec{Children: slices.Repeat([][]string{sleeper}, 12)})
			var all []byte
			for _, pid := range s.pids {
				all = append(all, request(pid, int(syscall.SIGKILL))...)
			}
			for _, n := range sizes {
				s.write(all[:n])
				all = all[n:]
			}
			s.wantKilled(s.drain(), s.pids...)
			s.wantExit(0)
		})
	}
}

// wantKilled checks that the events are SIGKILLs of exactly these processes.
func (s *seed) wantKilled(events map[int]event, pids ...int) {
	s.t.Helper()
	for _, pid := range pids {
		if events[pid] != killed(pid) {
			s.t.Errorf("event of %d: %v", pid, events[pid])
		}
		delete(events, pid)
	}
	if len(events) > 0 {
		s.t.Errorf("events of others: %v", events)
	}
}

// Only immediate children are signalled. Everybody else stays as it is, and nobody is told.
func TestSeedRequestsForOthers(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		bystander := b.start(launch{
			argv: shell("trap 'echo hit' WINCH; echo ready; read x; exit 6"),
			attr: syscall.SysProcAttr{Setpgid: true},
		})
		bystander.expect("ready")
		s := b.startSeed(c, seqpacket, seedSpec{Children: [][]string{shell("sleep 10000 & echo $!; wait"), sleeper, sleeper}})
		grandchild := s.printedPid()
		s.send(grandchild, syscall.SIGKILL)
		s.send(bystander.pid(), syscall.SIGKILL)
		s.send(s.pid(), syscall.SIGKILL)
		for _, pid := range []int{0, -1, -bystander.pid(), -s.pid(), -s.pids[0], 1 << 30} {
			s.send(pid, syscall.SIGWINCH) // harmless where it should arrive after all
		}
		s.send(s.pids[1], 0) // asks whether it could, and sends nothing
		s.kill(s.pids[2])
		if !lives(grandchild) {
			t.Errorf("the grandchild is in state %q", state(grandchild))
		}
		if !lives(s.pids[1]) {
			t.Errorf("the child that got signal 0 is in state %q", state(s.pids[1]))
		}
		s.closeRequests()
		s.wantKilled(s.drain(), s.pids[0], s.pids[1], grandchild)
		s.wantExit(0)
		bystander.closeStdin()
		o := bystander.wait()
		o.wantCode(6)
		if o.stdout != "ready\n" {
			t.Errorf("the bystander was hit: %q", o.stdout)
		}
	})
}

// A request for a child that has ended already is no failure.
func TestSeedRequestForTheDead(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: [][]string{shell("exit 9"), sleeper}})
		s.want(event{cldExited, s.pids[0], 9})
		s.send(s.pids[0], syscall.SIGKILL)
		s.kill(s.pids[1])
		s.wantExit(0)
	})
}

// The descriptions behind fd 0 and 1 are shared with others: their flags are not ours to change.
func TestSeedFlagsUntouched(t *testing.T) {
	for _, via := range []transport{seqpacket, stream, pipes} {
		for _, nonblock := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,nonblock=%v", via, nonblock), func(t *testing.T) {
				var same [2]*os.File
				s := newBox(t).startSeed(inSubreaper, via, seedSpec{Nonblock: nonblock, Children: [][]string{sleeper, sleeper}, same: &same})
				s.kill(s.pids[0])
				for fd, f := range same {
					if nonblocking(t, f) != nonblock {
						t.Errorf("fd %d: O_NONBLOCK is %v now", fd, !nonblock)
					}
					f.Close()
				}
				s.kill(s.pids[1])
				s.wantExit(0)
			})
		}
	}
}

// nonblocking reads the flags of an open description.
func nonblocking(t *testing.T, f *os.File) bool {
	t.Helper()
	var flags int
	raw, err := f.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK != 0
}
