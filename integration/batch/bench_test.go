package batch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// BenchmarkSrun: a step with the plugin beside one without, in turns, below integration/slurm --plugin. So is the least that any
// program in between costs that is written in Go: one that forks, executes and waits. A ratio is that of the medians. What is more is
// the median of the differences within a turn, which other load on the machine moves less: by the clock, and of the processor time of
// the whole cluster, of which much is spent while Slurm waits for something else.
func BenchmarkSrun(b *testing.B) {
	if os.Getenv("SUPERVISE_SLURM") == "" {
		b.Skip("for integration/slurm -- go test -bench Srun ./integration/batch")
	}
	least := filepath.Join(b.TempDir(), "least")
	if out, err := exec.Command("go", "build", "-o", least, testbed.Source("integration", "bench", "yardstick", "least", "main.go")).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for name, flags := range map[string]string{"default": "", "descent": "--contain=subreaper"} {
		b.Run(name, func(b *testing.B) {
			var bare, floor, held, more, cpu []float64
			for b.Loop() {
				without, c := stepTime(b, "true")
				least, _ := stepTime(b, least, "/bin/true")
				with, cWith := stepTime(b, "--supervise", "--supervise-flags="+flags, "true")
				bare, floor, held = append(bare, without), append(floor, least), append(held, with)
				more, cpu = append(more, with-without), append(cpu, cWith-c)
			}
			b.ReportMetric(median(bare), "ms/without")
			b.ReportMetric(median(more), "ms/more")
			b.ReportMetric(median(cpu), "cpu-ms/more")
			b.ReportMetric(median(held)/median(bare), "ratio")
			b.ReportMetric(median(floor)/median(bare), "ratio/least")
		})
	}
}

// stepTime returns how many milliseconds a step takes, and how much processor time.
func stepTime(b *testing.B, argv ...string) (clock, cpu float64) {
	b.Helper()
	before, began := cpuTime(b), time.Now()
	if out, err := exec.Command("srun", argv...).CombinedOutput(); err != nil {
		b.Fatalf("srun %q: %v\n%s", argv, err, out)
	}
	return time.Since(began).Seconds() * 1000, cpuTime(b) - before
}

// cpuTime is the processor time of the cgroup that the cluster and this process are in, in milliseconds.
func cpuTime(b *testing.B) float64 {
	b.Helper()
	dir, err := testbed.OwnDir()
	if err != nil {
		b.Fatal(err)
	}
	var us float64
	data, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
	if err == nil {
		_, err = fmt.Sscanf(string(data), "usage_usec %f", &us)
	}
	if err != nil {
		b.Fatal(err)
	}
	return us / 1000
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
