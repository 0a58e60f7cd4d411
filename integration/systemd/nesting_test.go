package systemd

import (
	"os"
	"strings"
	"testing"
)

// TestNesting: six deep; with a scope of systemd-run's in the middle; with the fallback in the middle.
func TestNesting(t *testing.T) {
	me := supervise("--")
	deep := func(n int) (argv []string) {
		for range n {
			argv = append(argv, me...)
		}
		return argv
	}
	print := whereAmI[1:]
	tests := []struct {
		name string
		argv []string
		want int // jobs on the path
	}{
		{"six", append(deep(6), print...), 6},
		{"a scope in the middle", append(append(deep(3), append([]string{"systemd-run", "--user", "--scope", "-q"}, deep(3)...)...), print...), 3},
		{"a delegated scope in the middle", append(append(deep(2), append([]string{"systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes"}, deep(4)...)...), print...), 4},
		{"the fallback in the middle", append(append(deep(2), append(supervise("--contain=subreaper", "--"), deep(2)...)...), print...), 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asUser(t)
			if got := run(t, tt.argv...).ok(t); strings.Count(got, "/jobs-") != tt.want {
				t.Errorf("the job was in %q, want %d jobs in it", got, tt.want)
			}
		})
	}
}

// TestControllers: where the user is delegated controllers, the innermost of six jobs has them.
func TestControllers(t *testing.T) {
	asUser(t)
	if os.Getenv("SUPERVISE_BED") != "vm" {
		t.Skip("integration/vm has controllers")
	}
	var argv []string
	for range 6 {
		argv = append(argv, supervise("--")...)
	}
	argv = append(argv, "sh", "-c", `cat /sys/fs/cgroup"$(sed -n s/^0:://p /proc/self/cgroup)"/cgroup.controllers`)
	got := run(t, argv...).ok(t)
	for _, c := range []string{"memory", "pids"} {
		if !strings.Contains(" "+got+" ", " "+c+" ") {
			t.Errorf("the innermost job has %q, want %s", got, c)
		}
	}
}
