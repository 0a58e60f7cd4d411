package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSeedBomb: a fork bomb that is there before supervise is ended as one that supervise has started. How long it takes is in
// the log.
func TestSeedBomb(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		args := []string{"-count=200"}
		if os.Geteuid() == 0 {
			args = append(args, fmt.Sprintf("-uid=%d", spareUID))
		}
		if others := threadsOf(os.Geteuid()); os.Geteuid() != 0 && others > 100 {
			t.Skipf("this user has %d other processes and threads, which leave the bomb no room", others)
		}
		// The child ends when the bomb has gone off, which is supervise's from then on.
		s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: [][]string{adversary("bomb", args...)}, Dead: true})
		s.want(event{cldExited, s.pids[0], 0})
		start := time.Now()
		s.closeRequests()
		for more := true; more; {
			_, more = s.next()
		}
		s.wait().wantCode(0)
		t.Logf("gone after %v", s.ended.Sub(start).Round(time.Millisecond))
	})
}

// TestSeedWithoutPids: a bomb that is there before supervise, and has taken all processes that supervise's threads would be, is
// ended all the same.
func TestSeedWithoutPids(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	bomb := strings.Join(adversary("bomb-root", fmt.Sprintf("-count=%d", 200+threadsOf(tightUID()))), " ")
	l := launch{
		argv:  []string{"bash", "-c", fmt.Sprintf("%s & exec 4>&-; read; ulimit -u 1; exec %s", bomb, bin.supervise)},
		extra: []*os.File{w},
	}
	if os.Geteuid() == 0 {
		l.attr.Credential = &syscall.Credential{Uid: uint32(tightUID()), Gid: uint32(tightUID())}
	}
	p := newBox(t).start(l)
	w.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the bomb did not go off: %v; stderr: %s", err, p.stderr)
	}
	p.stdin.WriteString("\n")
	p.wait().wantCode(125)
}
