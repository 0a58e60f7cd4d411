package containers

import (
	"fmt"
	"strings"
	"testing"
)

// tidy is a job that ends politely when it is asked to (with --systemd=always by SIGRTMIN+3, 37), with its own status, and
// leaves a daemon even then.
const tidy = `trap 'echo asked; exit 9' TERM 37
busybox setsid sleep %s & while ! grep -q ^sleep /proc/$!/cmdline; do :; done
echo ready
while :; do busybox usleep 10000; done`

// TestStop: `podman stop` asks PID 1, that is supervise, or the init above it; the job hears of it, and its status is the
// container's.
func TestStop(t *testing.T) {
	forEach(t, modes, []style{asPid1, belowInit}, func(t *testing.T, m mode, s style) {
		marker, name := newMarker(), newName()
		p := start(t, podman(t, m, s, marker, superviseIn(nil, []string{"sh", "-c", fmt.Sprintf(tidy, marker)}), "--name="+name)...)
		p.expect("ready")
		run(t, "podman", "stop", "--time=60", name).wantCode(0)
		r := p.wait()
		wantGone(t, marker, true)
		r.wantCode(9) // and not 137, of podman's patience
		wantEnded(t, r.needRecord(), 9)
		if !strings.Contains(r.stdout, "asked\n") {
			t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
		}
	})
}

// TestKill: `podman kill` with SIGKILL ends the PID namespace, and nothing is left of the job, nor of its cgroups.
func TestKill(t *testing.T) {
	forEach(t, modes, []style{asPid1, belowInit, belowShell}, func(t *testing.T, m mode, s style) {
		marker, name := newMarker(), newName()
		p := start(t, podman(t, m, s, marker, superviseIn(nil, []string{"sh", "-c", fmt.Sprintf(tidy, marker)}), "--name="+name)...)
		p.expect("ready")
		run(t, "podman", "kill", "--signal=KILL", name).wantCode(0)
		p.wait().wantCode(137)
		wantGone(t, marker, false)
	})
}

// shoot starts a command, kills it with SIGKILL when the job is ready, and waits until the job's daemon is gone, and the
// cgroups of supervise's; else it exits 1.
const shoot = `marker=$1; shift
"$@" >/tmp/out.$marker & while ! grep -q ready /tmp/out.$marker; do busybox usleep 10000; done
kill -9 $!
busybox usleep 1000
for try in $(busybox seq 5000); do
	left=
	for p in /proc/[0-9]*; do case "$(busybox tr '\0' ' ' <$p/cmdline)" in "sleep $marker ") left="$left $p";; esac; done 2>/dev/null
	case "$(cat /proc/self/cgroup)" in *0::/) left="$left$(busybox find /sys/fs/cgroup -maxdepth 1 -name 'jobs-*')";; esac
	[ -n "$left" ] || exit 0
	busybox usleep 10000
done
echo "left: $left"
exit 1`

// TestShoot: kill -9 on supervise inside a container that goes on.
func TestShoot(t *testing.T) {
	forEach(t, modes, []style{{name: "below a shell", wrap: func(argv []string, marker string) []string {
		return append([]string{"sh", "-c", shoot, "shoot", marker}, argv...)
	}}}, func(t *testing.T, m mode, s style) {
		marker := newMarker()
		r := run(t, podman(t, m, s, marker, superviseIn(nil, []string{"sh", "-c", fmt.Sprintf(tidy, marker)}), "--tmpfs=/tmp:mode=1777")...)
		r.wantCode(0)
		wantGone(t, marker, true)
	})
}
