package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What was a child of the shell that executed supervise is none of the job's: not killed, not counted, not waited for.

// inherits starts supervise by a shell that leaves it a sleeping child.
func (b *box) inherits(command string) (p *proc, sleeper int) {
	b.t.Helper()
	p = b.start(launch{argv: []string{"sh", "-c", "sleep 1000 >/dev/null 2>&1 3>&- & echo sleeper $!; exec " + command + " </dev/null"}})
	<-p.done
	return p, p.printedPid("sleeper")
}

// endInherited ends what supervise has left alone: it is alive, and ours now.
func endInherited(pid int) error {
	var status unix.WaitStatus
	if got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); got != 0 || err != nil {
		return fmt.Errorf("process %d, which is not of the job, has ended: status %#x: %w", pid, status, err)
	}
	unix.Kill(pid, unix.SIGKILL)
	_, err := unix.Wait4(pid, &status, 0, nil)
	return err
}

// TestInheritedIsNoLeftover: a child from before is not blamed, not waited for, and not killed.
func TestInheritedIsNoLeftover(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, flags := range []string{"--leftovers=kill", "--leftovers=wait", "--leftovers=fail", "--leftovers=fail --no-guard"} {
			b := newBox(t)
			p, sleeper := b.inherits(fmt.Sprintf(`%s run %s %s --record=fd:1 -- sh -c "exit 4"`, bin.supervise, c.flag(), flags))
			if err := endInherited(sleeper); err != nil {
				t.Errorf("%s: %v", flags, err)
			}
			o := p.wait()
			o.wantCode(4)
			if r := decodeRecord(t, []byte(o.stdout[len(fmt.Sprintf("sleeper %d\n", sleeper)):])); r.Reaped == nil || *r.Reaped != 1 || len(r.Leftovers) != 0 {
				t.Errorf("%s: reaped %d, leftovers %+v", flags, *r.Reaped, r.Leftovers)
			}
		}
	})
}

// TestInheritedByServe: the end of a server does not end what it did not start.
func TestInheritedByServe(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p, sleeper := b.inherits(bin.supervise + " serve " + c.flag())
		if err := endInherited(sleeper); err != nil {
			t.Error(err)
		}
		p.wait().wantCode(0)
	})
}

// TestInheritedReader: a process substitution reads on after the job, as it does for timeout(1), tini and bwrap. bash executes the
// last command of -c in its own place.
func TestInheritedReader(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		fifo, file := filepath.Join(b.dir, "go"), filepath.Join(b.dir, "f")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		p := b.start(launch{argv: []string{"bash", "-c", fmt.Sprintf(
			`%s run %s -- sh -c "echo data" > >(exec 3>&-; read -r _ <%s; cat >%s.new; mv %s.new %s)`, bin.supervise, c.flag(), fifo, file, file, file)}})
		<-p.done                                     // supervise has ended, and the reader waits for the word
		word, err := os.OpenFile(fifo, os.O_RDWR, 0) // which does not wait for a reader that was killed
		if err != nil {
			t.Fatal(err)
		}
		defer word.Close()
		word.WriteString("go\n")
		eventually(t, "what the reader writes", func() error {
			text, err := os.ReadFile(file)
			if err == nil && string(text) != "data\n" {
				err = errors.New("it has " + string(text))
			}
			return err
		})
		if err := b.settle(killPatience); err != nil { // the reader ends
			t.Error(err)
		}
		p.wait().wantCode(0)
	})
}
