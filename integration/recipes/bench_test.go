package recipes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// BenchmarkEngines: what a command costs that a program starts by supervise, beside the same one without: 50 times true, in turns.
// ms/command is the difference of the medians.
func BenchmarkEngines(b *testing.B) {
	const commands = 50
	engines := []struct {
		name, file, text string
		without, with    string
	}{
		{"make", "Makefile", "all:;" + strings.Repeat(" true\n\t", commands), "make -s", "make -s SHELL=supervise-shell"},
		{"ninja", "build.ninja", ninja(commands), "CALLER= ninja --quiet", "CALLER='supervise run --' ninja --quiet"},
		{"parallel", "list", strings.Repeat("1\n", commands), "parallel -j1 true <list", "PARALLEL_SHELL=$PWD/supervise-shell parallel -j1 true <list"},
	}
	dir := b.TempDir()
	for _, file := range []string{testbed.Source("contrib", "recipes", "supervise-shell"), filepath.Join(bin, "supervise")} {
		if out, err := exec.Command("install", file, dir).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			if err := os.WriteFile(filepath.Join(dir, e.file), []byte(e.text), 0o644); err != nil {
				b.Fatal(err)
			}
			var without, with []time.Duration
			for b.Loop() {
				without = append(without, timed(b, dir, e.without))
				with = append(with, timed(b, dir, e.with))
			}
			bare, held := median(without), median(with)
			b.ReportMetric((held-bare).Seconds()*1000/commands, "ms/command")
			b.ReportMetric(bare.Seconds()*1000/commands, "ms/without")
			b.ReportMetric(float64(held)/float64(bare), "ratio")
		})
	}
}

// ninja is a file of so many commands, which are never done.
func ninja(commands int) string {
	var file strings.Builder
	file.WriteString("rule true\n  command = $$CALLER true\n")
	for i := range commands {
		fmt.Fprintf(&file, "build out%d: true\n", i)
	}
	return file.String()
}

// timed returns how long a line of shell takes.
func timed(b *testing.B, dir, line string) time.Duration {
	b.Helper()
	c := exec.Command("sh", "-c", line)
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	began := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", line, err, out)
	}
	return time.Since(began)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
