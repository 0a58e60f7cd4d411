package limits

import (
	"os"
	"path/filepath"
	"testing"
)

// TestResources: an OCI document limits the job; a flag for the same file counts more.
func TestResources(t *testing.T) {
	need(t)
	file := filepath.Join(t.TempDir(), "config.json")
	document := `{"ociVersion": "1.2.0", "linux": {"resources": {
		"memory": {"limit": 134217728, "swap": 201326592},
		"cpu": {"quota": 50000, "period": 100000, "shares": 512},
		"pids": {"limit": 200}}}}`
	if err := os.WriteFile(file, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	const show = `cd /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/.. && cat memory.max memory.swap.max cpu.max cpu.weight pids.max`
	for flag, want := range map[string]string{
		"--best-effort":   "134217728\n67108864\n50000 100000\n59\n200\n",
		"--pids-max=100":  "134217728\n67108864\n50000 100000\n59\n100\n",
		"--memory-max=1G": "1073741824\n67108864\n50000 100000\n59\n200\n",
	} {
		o := run(t, append([]string{flag, "--resources", file}, sh(show)...)...)
		if o.code != 0 || o.err != "" || o.out != want || len(o.Unenforced) != 0 {
			t.Errorf("%s: status %d, stderr %q, stdout %q, want %q", flag, o.code, o.err, o.out, want)
		}
	}
}
