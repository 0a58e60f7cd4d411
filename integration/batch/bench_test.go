package batch

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// BenchmarkSrun: a step with the plugin beside one without, in turns, below integration/slurm --plugin. So is the least that any
// program in between costs that is written in Go: one that forks, executes and waits. A ratio is that of the medians; ms/more is the
// median of the differences within a turn, which other load on the machine moves less.
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
			var bare, floor, held, more []time.Duration
			for b.Loop() {
				bare = append(bare, stepTime(b, "true"))
				floor = append(floor, stepTime(b, least, "/bin/true"))
				held = append(held, stepTime(b, "--supervise", "--supervise-flags="+flags, "true"))
				more = append(more, held[len(held)-1]-bare[len(bare)-1])
			}
			without := median(bare)
			b.ReportMetric(without*1000, "ms/without")
			b.ReportMetric(median(more)*1000, "ms/more")
			b.ReportMetric(median(held)/without, "ratio")
			b.ReportMetric(median(floor)/without, "ratio/least")
		})
	}
}

// stepTime returns how long a step takes.
func stepTime(b *testing.B, argv ...string) time.Duration {
	b.Helper()
	began := time.Now()
	if out, err := exec.Command("srun", argv...).CombinedOutput(); err != nil {
		b.Fatalf("srun %q: %v\n%s", argv, err, out)
	}
	return time.Since(began)
}

// median returns that of some durations, in seconds.
func median(all []time.Duration) float64 {
	slices.Sort(all)
	return all[len(all)/2].Seconds()
}
