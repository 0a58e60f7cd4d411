package recipes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// ciPage is that of the recipes for CI.
const ciPage = "ci/README.md"

// installed is a recipe of that page with the directories in which its programs are here.
func (s *site) installed(text string) string {
	s.Helper()
	return replaced(s.T, text, "/usr/local/lib/supervise", s.programs)
}

// fails runs a script that is to have a status.
func (s *site) fails(status int, script string, env ...string) {
	s.Helper()
	c := s.command("sh", "-c", script)
	c.Env = append(c.Env, env...)
	out, _ := c.CombinedOutput()
	if got := c.ProcessState.ExitCode(); got != status {
		s.Fatalf("%s: status %d, want %d\n%s", script, got, status, out)
	}
}

// gitlab is what the runner gives its driver.
func (s *site) gitlab() []string {
	return []string{"CUSTOM_ENV_CI_JOB_ID=7", "BUILD_FAILURE_EXIT_CODE=1", "SYSTEM_FAILURE_EXIT_CODE=2", "SUPERVISE_BUILDS=" + s.dir + "/builds",
		"BUILD_EXIT_CODE_FILE=" + s.dir + "/status"}
}

// driver is the command line for a stage, by the configuration on the page.
func (s *site) driver(stage string) string {
	s.Helper()
	var program, args string
	for line := range strings.Lines(s.installed(recipe(s.T, ciPage, "GitLab", 0))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch name {
		case stage + "_exec":
			program = strings.Trim(value, `"`)
		case stage + "_args":
			args = strings.Trim(value, `["]`)
		}
	}
	if program == "" || args == "" {
		s.Fatalf("nothing for %s", stage)
	}
	return program + " " + args
}

// TestGitLab calls the driver as the documentation of the custom executor says.
func TestGitLab(t *testing.T) {
	testbed.Program(t, "bash")
	forEachHolder(t, func(s *site) {
		env := s.gitlab()
		if got, want := s.run(s.driver("config"), env...), `"builds_dir":"`+s.dir+`/builds/7"`; !strings.Contains(got, want) {
			s.Errorf("config says %s, want %s", got, want)
		}
		s.run(s.driver("prepare"), env...)
		s.write("script", 0o755, "set -eo pipefail\ncd "+s.dir+"/builds/7\n../../job\nexit ${STATUS-0}\n")
		s.run(s.driver("run")+" $PWD/script get_sources", env...)
		s.judge(1)
		s.fails(1, s.driver("run")+" $PWD/script build_script", append(env, "STATUS=42")...)
		s.jobsOver(1)
		s.wantDaemons(2)
		if got := s.run("cat status"); got != "42\n" {
			s.Errorf("the status is %q", got)
		}
		s.run(s.driver("cleanup"), env...)
		if _, err := os.Stat(filepath.Join(s.dir, "builds", "7")); !os.IsNotExist(err) {
			s.Errorf("the directory of the job: %v", err)
		}
	})
}

// TestGitLabPrepare is for a machine on which supervise does not do what it is told.
func TestGitLabPrepare(t *testing.T) {
	s := newSite(t, holders[2])
	s.fails(2, s.driver("prepare"), append(s.gitlab(), "SUPERVISE_FLAGS=--set no.such.limit=1")...)
}

// TestGitLabNumber: a project can give CI_JOB_ID any value, and cleanup removes the directory of that name.
func TestGitLabNumber(t *testing.T) {
	s := newSite(t, holders[2])
	s.run("mkdir builds")
	s.write("builds/precious", 0o644, "")
	for _, id := range []string{"..", "../builds", "precious", ".", "7/../precious", ""} {
		s.fails(2, s.driver("config"), append(s.gitlab(), "CUSTOM_ENV_CI_JOB_ID="+id)...)
		s.fails(2, s.driver("cleanup"), append(s.gitlab(), "CUSTOM_ENV_CI_JOB_ID="+id)...)
		if _, err := os.Stat(filepath.Join(s.dir, "builds", "precious")); err != nil {
			t.Fatalf("after the clean-up of %q: %v", id, err)
		}
	}
}

// TestGitLabCancelled ends the driver, and it alone, as the runner does when a job is cancelled.
func TestGitLabCancelled(t *testing.T) {
	testbed.Program(t, "bash")
	forEachHolder(t, func(s *site) {
		env := s.gitlab()
		s.run(s.driver("prepare"), env...)
		s.write("script", 0o755, "./job\ntrap '' TERM\nsleep "+s.tag+"\n")
		driver := s.command("sh", "-c", "exec "+s.driver("run")+" $PWD/script build_script")
		driver.Env = append(driver.Env, env...)
		if err := driver.Start(); err != nil {
			s.Fatal(err)
		}
		s.jobsOver(1)
		driver.Process.Signal(unix.SIGTERM)
		driver.Wait()
		s.wantDaemonsSoon(2)
	})
}

// TestBuildkiteHook sources the hook, as the agent's wrapper does, whose last words are those of the status.
func TestBuildkiteHook(t *testing.T) {
	testbed.Program(t, "bash")
	forEachHolder(t, func(s *site) {
		s.fails(42, `exec bash -c '. "$0"/buildkite-command; exit $?' `+s.programs,
			"BUILDKITE_JOB_ID=7", "BUILDKITE_SHELL=/bin/bash -e -c", "BUILDKITE_COMMAND=./job; (exit 42); echo not here")
		s.judge(1)
	})
}

// TestBuildkite has the agent run a job as it does when it has got one, where there is an agent.
func TestBuildkite(t *testing.T) {
	agent := optional(t, "buildkite-agent")
	forEachHolder(t, func(s *site) {
		s.run("mkdir hooks; ln -s " + agent + " " + s.programs)
		s.run(replaced(s.T, recipe(s.T, ciPage, "Buildkite", 0), "buildkite-command /etc/buildkite-agent", s.programs+"/buildkite-command ."))
		env := []string{"BUILDKITE_COMMAND=" + s.dir + "/job; exit 42", "BUILDKITE_SHELL=/bin/bash -e -c", "BUILDKITE_BOOTSTRAP_PHASES=plugin,command"}
		for _, name := range []string{"JOB_ID", "REPO", "COMMIT", "BRANCH", "AGENT_NAME", "ORGANIZATION_SLUG", "PIPELINE_SLUG", "PIPELINE_PROVIDER"} {
			env = append(env, "BUILDKITE_"+name+"=x")
		}
		for _, name := range []string{"HOOKS", "BUILD", "PLUGINS", "SOCKETS", "BIN"} {
			env = append(env, "BUILDKITE_"+name+"_PATH="+filepath.Join(s.dir, strings.ToLower(name)))
		}
		s.fails(42, "buildkite-agent bootstrap --command-eval", env...)
		s.judge(1)
	})
}

// optional finds a program that no package of Debian has; CI does not promise it.
func optional(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("not run: %v", err)
	}
	return path
}

// TestWoodpecker calls the shell of a step as the local backend does.
func TestWoodpecker(t *testing.T) {
	forEachHolder(t, func(s *site) {
		text := recipe(s.T, ciPage, "Woodpecker", 0)
		_, image, _ := strings.Cut(text, "image: ")
		image, _, _ = strings.Cut(image, "\n")
		_, command, _ := strings.Cut(text, "- ./")
		s.run(image + ` -e -c "echo '+ job'` + "\n./" + strings.TrimSpace(command) + `"`)
		s.judge(1)
	})
}

// TestJenkins executes a script with the line that both kinds of shell steps begin with.
func TestJenkins(t *testing.T) {
	forEachHolder(t, func(s *site) {
		s.write("script.sh", 0o755, s.local(recipe(s.T, ciPage, "Jenkins", 0))+"exit 42\n")
		s.fails(42, "./script.sh")
		s.judge(1)
	})
}
