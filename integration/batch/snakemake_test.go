package batch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// workflow has a dozen jobs, and puts together what they have made. One leaves a daemon, and two are run again: one that hangs the
// first time, and one that fails.
const workflow = `
shell.prefix("")
localrules: all

rule all:
    input: expand("parts/{i}", i=range(12))
    output: "all"
    shell: "sort -n {input} >{output}"

rule part:
    output: "parts/{i}"
    resources:
        attempt=lambda wildcards, attempt: attempt,
        limit=lambda wildcards, attempt: "5s" if wildcards.i == "5" and attempt == 1 else "10m"
    retries: 1
    shell: "./part {wildcards.i} {resources.attempt} >{output}"
`

// part is what each job runs.
const part = `#!/bin/sh
case $1.$2 in
3.1) (setsid sleep SLEEP >/dev/null 2>&1 &) ;;
5.1) sleep SLEEP ;;
7.1) exit 3 ;;
esac
echo $1
`

// TestSnakemake: the profile for Snakemake. The result is complete, though Snakemake alone would wait for the job that hung, each run of
// each job has a record, of which a report can be made, and nothing is left.
func TestSnakemake(t *testing.T) {
	testbed.Program(t, "snakemake")
	inCluster(t, []string{"--nodes", "3"}, "", func(s *site) {
		for name, text := range map[string]string{"Snakefile": workflow, "part": s.script(part)} {
			if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o755); err != nil {
				s.t.Fatal(err)
			}
		}
		profile, err := filepath.Abs(testbed.Source("contrib", "slurm", "examples", "snakemake"))
		if err != nil {
			s.t.Fatal(err)
		}
		home := []string{"env", "HOME=" + s.dir, "CI=true"} // with CI it asks for the state of jobs without pauses of ten seconds
		o := s.run(s.recorded(append(home, "snakemake", "--profile", profile, "--jobs", "6"))...)
		if o.code != 0 {
			s.t.Fatalf("status %d, stderr %s", o.code, o.err)
		}
		s.nothingLeft()
		if all, err := os.ReadFile(filepath.Join(s.dir, "all")); err != nil || string(all) != "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n" {
			s.t.Errorf("%v; the result is %q", err, all)
		}
		s.expectCauses(map[string]int{"exited 0": 11, "exited 0, 1 left": 1, "exited 1": 1, "timeout": 1})
		text := s.run("env", "PATH="+bin+":"+os.Getenv("PATH"), "supervise", "report", "--text", "records").ok(s.t)
		if !strings.HasPrefix(text, "14 jobs, ") || !strings.Contains(text, "part.") {
			s.t.Errorf("the report:\n%s", text)
		}
	})
}

// expectCauses wants so many records that say that a job has ended in this way.
func (s *site) expectCauses(want map[string]int) {
	s.t.Helper()
	got := map[string]int{}
	for _, name := range s.names() {
		r := s.record("records/" + name)
		cause := r.Cause
		if r.Exit.Code != nil && r.Cause == "exited" {
			cause += fmt.Sprint(" ", *r.Exit.Code)
			if r.Leftovers > 0 {
				cause += fmt.Sprintf(", %d left", r.Leftovers)
			}
		}
		got[cause]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("records %v, want %v", got, want)
	}
}
