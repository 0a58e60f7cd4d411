package integration

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRooted: a program of the job that is root's by setuid, and has left the session for another cgroup of the user, may not be
// signalled by the user's supervise. It is moved back and killed: as the main process, and as a leftover.
func TestRooted(t *testing.T) {
	needRoot(t)
	needCgroup(t)
	for _, tt := range []struct {
		name, script string
		flags        []string
		code         int
	}{
		{"main", `exec "$0" rooted -cgroup "$1"`, []string{"--timeout", "1s", "--grace", "0"}, 124},
		{"leftover", `sleep 1000 | "$0" rooted -cgroup "$1" >out & until grep -q ready out; do sleep 0.01; done; exit 3`, nil, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			root, away, copied := b.group.file("root"), b.group.file("away"), filepath.Join(b.dir, "adversary")
			program, err := os.ReadFile(bin.adversary)
			for _, err := range []error{
				err, os.Mkdir(root, 0o755), os.Mkdir(away, 0o755), os.WriteFile(copied, program, 0o755), syscall.Chmod(copied, 0o4755), os.Chmod(b.dir, 0o777),
				os.Chown(root, spareUID, -1), os.Chown(root+"/cgroup.procs", spareUID, -1), os.Chown(away+"/cgroup.procs", spareUID, -1),
				os.Chown(b.group.file("cgroup.procs"), spareUID, -1),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			l := b.run(inCgroup, append(tt.flags, "--cgroup", root), sh(tt.script, copied, away)...)
			l.attr.Credential = &syscall.Credential{Uid: uint32(spareUID), Gid: uint32(spareUID)}
			l.dir = b.dir
			p := b.start(l)
			p.wait().wantCode(tt.code)
			for _, dir := range []string{root, away} {
				if err := os.Remove(dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
