package recipes

import (
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// page is that of the recipes but for CI.
const page = "README.md"

func TestMake(t *testing.T) {
	testbed.Program(t, "make")
	forEachHolder(t, func(s *site) {
		s.write("Makefile", 0o644, "all: one two\none:; ./job\ntwo:; +$(MAKE) three four\nthree four:; ./job\n")
		if out := s.run(recipe(s.T, page, "make", 0)); strings.Contains(out, "jobserver") {
			s.Errorf("the jobserver is lost: %s", out)
		}
		s.judge(3)
	})
}

// TestShellFlags: a word among the flags that is none is not the command.
func TestShellFlags(t *testing.T) {
	forEachHolder(t, func(s *site) {
		if !s.holds {
			return
		}
		s.run("supervise-shell -c 'exit $#' 0", "SUPERVISE_SHELL_FLAGS=--grace 1s --timeout 1m")
		s.fails(2, "supervise-shell -c ./job", "SUPERVISE_SHELL_FLAGS=--grace 1s echo")
	})
}

func TestNinja(t *testing.T) {
	testbed.Program(t, "ninja")
	forEachHolder(t, func(s *site) {
		s.write("build.ninja", 0o644, "rule job\n  command = ./job\nbuild one: job\nbuild two: job\n")
		s.run(recipe(s.T, page, "ninja", 0))
		s.judge(2)
	})
}

func TestNinjaRule(t *testing.T) {
	testbed.Program(t, "ninja")
	forEachHolder(t, func(s *site) {
		s.write("build.ninja", 0o644, recipe(s.T, page, "ninja", 1))
		s.run("ninja")
		s.judge(1)
	})
}

func TestParallel(t *testing.T) {
	testbed.Program(t, "parallel")
	forEachHolder(t, func(s *site) {
		s.run(s.local(recipe(s.T, page, "GNU parallel", 0)))
		s.judge(3)
	})
}

func TestTaskSpooler(t *testing.T) {
	testbed.Program(t, "tsp")
	forEachHolder(t, func(s *site) {
		s.Cleanup(func() { s.run("tsp -K") })
		s.run(recipe(s.T, page, "task-spooler", 0))
		s.run("tsp -w")
		s.judge(1)
	})
}

func TestSnakemake(t *testing.T) {
	testbed.Program(t, "snakemake")
	forEachHolder(t, func(s *site) {
		s.write("Snakefile", 0o644, recipe(s.T, page, "Snakemake", 0)+"rule all:\n    output: \"out\"\n    shell: \"./job; echo $0 >{output}\"\n")
		s.run("snakemake --cores 1 --quiet")
		s.judge(1)
	})
}

func TestGitHook(t *testing.T) {
	testbed.Program(t, "git")
	forEachHolder(t, func(s *site) {
		s.run("git init --quiet && cp job .git/hooks/pre-commit")
		s.run(s.local(recipe(s.T, page, "git hooks", 0)))
		s.run("git -c user.name=a -c user.email=a@b commit --quiet --allow-empty -m one")
		s.judge(1)
	})
}
