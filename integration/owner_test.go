package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestOwnerDescriptor: the job ends when the other end of a descriptor closes: the README's own example.
func TestOwnerDescriptor(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, flags := range [][]string{{"--owner", "fd:4"}, {"--owner=fd:4", "--no-guard"}} {
			b := newBox(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			l := b.run(c, flags, sh("trap '' TERM; sleep 1000 3>&- & echo ready; wait")...)
			l.extra = []*os.File{r}
			p := b.start(l)
			r.Close()
			p.expect("ready")
			w.Close()
			o := p.wait()
			o.wantCode(128 + int(syscall.SIGKILL))
			o.wantRecord(c, "owner-gone")
		}
	})
}

// TestOwnerParent: the job ends when the process that started supervise is killed, though nothing of it is inherited.
func TestOwnerParent(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, guard := range []string{"", "--no-guard"} {
			b := newBox(t)
			p := b.start(launch{argv: sh(fmt.Sprintf(`echo parent $$; %s run %s %s --owner parent --record %s/r.json -- sh -c 'echo ready; sleep 1000' & wait`,
				bin.supervise, c.flag(), guard, b.dir))})
			p.expect("ready")
			p.signal(syscall.SIGKILL)
			<-p.done
			if err := b.settle(killPatience); err != nil {
				t.Error(err)
			}
			data, err := os.ReadFile(b.dir + "/r.json")
			if err != nil {
				t.Fatal(err)
			}
			if r := decodeRecord(t, data); r.Cause != "owner-gone" {
				t.Errorf("cause %s", r.Cause)
			}
			p.wait()
		}
	})
}

// TestOwnerStdin: the job's input is not thrown away in silence.
func TestOwnerStdin(t *testing.T) {
	b := newBox(t)
	o := b.supervised("run", "--owner", "fd:0", "--", "cat")
	o.wantCode(2)
	if !strings.Contains(o.stderr, "3<&0 </dev/null") {
		t.Errorf("stderr %q", o.stderr)
	}
}
