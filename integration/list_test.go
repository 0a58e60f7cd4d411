package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestList: what is said of a job is so, also by text.
func TestList(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		launched := time.Now()
		p := b.start(b.called("a", c, three...))
		p.expect("ready 1")
		p.expect("ready 2")
		main := p.printedPid("main")
		// Their children are there a little after that.
		eventually(t, "five processes", func() error {
			if n := b.job("a").Processes; n == nil || *n != 5 {
				return fmt.Errorf("%v", b.job("a"))
			}
			return nil
		})
		j := b.job("a")
		if j.State != protocol.ListedRunning || string(j.Containment) != string(c) || (j.Cgroup != nil) != (c == inCgroup) ||
			j.UID != os.Geteuid() || j.PID == nil || *j.PID != main || j.CPUS == nil || j.Outer != nil {
			t.Errorf("%+v", j)
		}
		if j.Supervisor == nil || c == inCgroup && *j.Supervisor != p.pid() {
			t.Errorf("the supervisor is %v, want %d", j.Supervisor, p.pid())
		}
		if j.Owner == nil || j.Owner.PID != os.Getpid() {
			t.Errorf("the owner is %+v, want %d", j.Owner, os.Getpid())
		}
		if j.Started == nil || j.Started.Before(launched.Add(-20*time.Millisecond)) || j.Started.After(time.Now()) {
			t.Errorf("it was started at %v", j.Started)
		}
		for _, word := range []string{j.ID, j.Name, j.ID[:len(j.ID)-1]} {
			o := b.command("stat", word)
			o.wantCode(0)
			if !strings.Contains(o.stdout, "\n"+fmt.Sprint(main)+" ") {
				t.Errorf("stat %s: %s", word, o.stdout)
			}
		}
		if o := b.command("list"); !strings.Contains(o.stdout, j.ID) {
			t.Errorf("%q lacks %s", o.stdout, j.ID)
		}
		p.signal(syscall.SIGTERM)
		p.wait()
		if l := b.listed(); len(l) > 0 {
			t.Errorf("after the end: %v", l)
		}
	})
}

// TestListNested: each job is in the next outer one, and indented below it.
func TestListNested(t *testing.T) {
	chains := map[string][]containment{
		"cgroup":                  {inCgroup, inCgroup, inCgroup},
		"subreaper":               {inSubreaper, inSubreaper, inSubreaper},
		"cgroup inside subreaper": {inSubreaper, inCgroup, inSubreaper},
		"subreaper inside cgroup": {inCgroup, inSubreaper, inCgroup},
	}
	for name, chain := range chains {
		t.Run(name, func(t *testing.T) {
			if name != "subreaper" {
				needCgroup(t)
			}
			b := newBox(t)
			argv := sh("echo ready; read x")
			for i := len(chain) - 1; i > 0; i-- {
				argv = append([]string{bin.supervise, "run", chain[i].flag(), fmt.Sprint("--name=", b.prefix(), i), "--"}, argv...)
			}
			p := b.start(b.called("0", chain[0], argv...))
			p.expect("ready")
			list := b.listed()
			for i := 1; i < len(chain); i++ {
				j, ok := list[fmt.Sprint(i)]
				if outer := list[fmt.Sprint(i-1)]; !ok || j.Outer == nil || *j.Outer != outer.ID {
					t.Errorf("%+v is not in %+v", j, outer)
				}
			}
			text := b.command("list").stdout
			if j := list["2"]; !strings.Contains(text, "\n    "+j.ID) {
				t.Errorf("%s is not indented twice:\n%s", j.ID, text)
			}
			// The end of one is the end of those in it.
			b.command("kill", list["1"].ID).wantCode(0)
			p.wait().wantCode(137)
			if l := b.listed(); len(l) > 0 {
				t.Errorf("after the end: %v", l)
			}
		})
	}
}

// TestListPrintable: a name reaches no terminal raw.
func TestListPrintable(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.called("\x1b[31mred\t\u009b", c, sh("echo ready; read x")...))
		p.expect("ready")
		for _, o := range []outcome{b.command("list"), b.command("stat", b.prefix()+"\x1b[31mred\t\u009b")} {
			if o.wantCode(0); !strings.Contains(o.stdout, "31mred") || strings.ContainsAny(o.stdout, "\x1b\t\u009b") {
				t.Errorf("%q", o.stdout)
			}
		}
		p.closeStdin()
		p.wait()
	})
}

// TestListOthers: another user's jobs are shown when asked for, and left alone.
func TestListOthers(t *testing.T) {
	needRoot(t)
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.called("root", c, sh("echo ready; read x")...))
		p.expect("ready")
		l := b.called("user", inSubreaper, sh("echo ready; read x")...)
		l.attr.Credential = &syscall.Credential{Uid: uint32(spareUID), Gid: uint32(spareUID)}
		l.record, l.argv = "", append([]string{bin.supervise, "run"}, l.argv[4:]...)
		q := b.start(l)
		q.expect("ready")
		if list := b.listed(); len(list) != 2 || list["user"].UID != spareUID {
			t.Errorf("root sees %v", list)
		}
		asUser := func(args ...string) outcome {
			return b.start(launch{argv: append([]string{bin.supervise}, args...), attr: syscall.SysProcAttr{Credential: l.attr.Credential}}).wait()
		}
		mine, all := asUser("list").stdout, asUser("list", "--all").stdout
		theirs, own := b.job("root").ID, b.job("user").ID
		if strings.Contains(mine, theirs) || !strings.Contains(all, theirs) || !strings.Contains(mine, own) {
			t.Errorf("the user sees %s and of all %s", mine, all)
		}
		for _, args := range [][]string{{"kill", theirs}, {"signal", "TERM", theirs}, {"freeze", theirs}, {"limit", theirs, "--pids-max=1"}, {"stat", theirs}} {
			o := asUser(args...)
			o.wantCode(125)
			o.wantOneLine(fmt.Sprintf("supervise: %s: job %s is user 0's, and this is user %d", args[0], theirs, spareUID))
		}
		b.command("kill", own).wantCode(0)
		q.wait().wantCode(137)
		p.closeStdin()
		p.wait().wantCode(1)
	})
}

// TestListOrphaned: what a dead supervisor has left is shown as that, and can be killed.
func TestListOrphaned(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	dead, session := b.orphaned("busy")
	// Beside a command there are the processes that were left.
	among := func(args ...string) string {
		p := b.start(launch{argv: append([]string{bin.supervise}, args...)})
		<-p.done
		o := p.outcome()
		if o.code != 0 {
			t.Errorf("%q: exit status %d: %s", args, o.code, o.stderr)
		}
		return o.stdout
	}
	var found protocol.ListedJob
	var l protocol.List
	if err := json.Unmarshal([]byte(among("list", "--json")), &l); err != nil {
		t.Fatal(err)
	}
	for _, j := range l.Jobs {
		if j.Cgroup != nil && strings.HasPrefix(*j.Cgroup, session+"/") {
			found = j
		}
	}
	if found.State != protocol.ListedOrphaned || found.Supervisor != nil {
		t.Fatalf("%+v of %+v", found, l)
	}
	among("kill", found.ID)
	if !atEOF(dead.leak, 0) {
		t.Errorf("kill has returned, and %s live", describe(descendants()))
	}
	if _, err := os.Stat(session); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the session is there: %v", err)
	}
	if err := b.settle(killPatience); err != nil {
		t.Error(err)
	}
}

// wantNone checks that no process of that name lives below the test.
func wantNone(t *testing.T, name string) {
	t.Helper()
	if left := slices.DeleteFunc(descendants(), func(pid int) bool { return comm(pid) != name || state(pid) == "Z" }); len(left) > 0 {
		t.Errorf("still alive: %s", describe(left))
	}
}
