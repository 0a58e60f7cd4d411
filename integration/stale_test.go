package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// orphaned starts a job and shoots supervisor and guardian at once, so that its session is left with processes in it. It
// returns the session's directory.
func (b *box) orphaned(mode string) (p *proc, session string) {
	b.t.Helper()
	args := []string{}
	if mode == "busy" { // its dead are this process's, which reaps them at the end
		args = append(args, "-pause=10000")
	}
	p = b.start(b.run(inCgroup, nil, adversary(mode, args...)...))
	p.expect("ready")
	guardian := guardianOf(b.t, p.pid())
	// Stopped, the supervisor cannot act on the death of its guardian, and is still there to be killed.
	p.signal(syscall.SIGSTOP)
	syscall.Kill(guardian, syscall.SIGKILL)
	p.signal(syscall.SIGKILL)
	<-p.done
	waitPid(guardian, killPatience)
	sessions := b.jobsDirs()
	if len(sessions) != 1 {
		b.t.Fatalf("sessions %q, want the one that was orphaned", sessions)
	}
	return p, sessions[0]
}

func (b *box) jobsDirs() []string {
	var dirs []string
	for _, dir := range b.group.sessions() {
		if strings.HasPrefix(dir, "jobs-") && !strings.Contains(dir, "/") {
			dirs = append(dirs, filepath.Join(b.group.path, dir))
		}
	}
	return dirs
}

// TestStaleSession: what a supervisor and its guardian left when both were killed is ended and removed by the next start.
func TestStaleSession(t *testing.T) {
	needCgroup(t)
	for _, mode := range []string{"daemon", "busy", "freeze", "nest"} {
		t.Run(mode, func(t *testing.T) {
			b := newBox(t)
			dead, session := b.orphaned(mode)
			next := b.start(b.run(inCgroup, nil, "true"))
			<-next.done
			if !atEOF(dead.leak, 0) {
				t.Errorf("the next start has ended, but the stale session's processes have not: %s", describe(descendants()))
			}
			if _, err := os.Stat(session); err == nil {
				t.Errorf("the next start has ended, but %s is still there", session)
			}
			if err := b.settle(killPatience); err != nil {
				t.Error(err)
			}
			next.wait().wantCode(0)
		})
	}
}

// TestLiveSession: the session of a supervisor that lives is not stale, not even if it is stopped and has no process left.
func TestLiveSession(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	live := b.start(b.run(inCgroup, nil, adversary("daemon", "-exit=7")...))
	live.expect("ready")
	live.signal(syscall.SIGSTOP)
	for range 3 {
		b.start(b.run(inCgroup, nil, "true")).wait().wantCode(0)
	}
	if atEOF(live.leak, 0) {
		t.Error("the job of a stopped supervisor was ended by another supervise")
	}
	live.signal(syscall.SIGCONT)
	live.closeStdin()
	byMain.check(live.wait(), inCgroup)
}
