package batch

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// BenchmarkSrun: a step with the plugin beside one without, in turns, below integration/slurm --plugin. The ratio is that of the
// medians.
func BenchmarkSrun(b *testing.B) {
	if os.Getenv("SUPERVISE_SLURM") == "" {
		b.Skip("for integration/slurm -- go test -bench Srun ./integration/batch")
	}
	var without, with []time.Duration
	for b.Loop() {
		without = append(without, stepTime(b))
		with = append(with, stepTime(b, "--supervise"))
	}
	slices.Sort(without)
	slices.Sort(with)
	bare, held := without[len(without)/2], with[len(with)/2]
	b.ReportMetric(float64(held)/float64(bare), "ratio")
	b.ReportMetric(bare.Seconds()*1000, "ms/without")
}

// stepTime returns how long a step takes that does nothing.
func stepTime(b *testing.B, flags ...string) time.Duration {
	b.Helper()
	began := time.Now()
	if out, err := exec.Command("srun", append(flags, "true")...).CombinedOutput(); err != nil {
		b.Fatalf("srun %q: %v\n%s", flags, err, out)
	}
	return time.Since(began)
}
