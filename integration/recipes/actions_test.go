package recipes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A step is one of a job of GitHub's runner, which looks for the shell where hooks have said, and gives it these arguments.
const step = ` -e script.sh`

// hooks runs the first hook as the runner does, and returns the environment of the steps, and the last hook.
func (s *site) hooks() (env []string, completed string) {
	s.Helper()
	variables := map[string]string{}
	for line := range strings.Lines(s.installed(recipe(s.T, ciPage, "GitHub", 0))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		variables[name] = value
	}
	own := []string{"RUNNER_TEMP=" + s.dir + "/temp", "GITHUB_PATH=" + s.dir + "/path", "GITHUB_ENV=" + s.dir + "/env"}
	s.run("mkdir temp; : >path; : >env")
	s.run("bash -e "+variables["ACTIONS_RUNNER_HOOK_JOB_STARTED"], own...)
	env = append(own, "PATH="+s.line("path")+":"+s.programs+":/usr/bin:/bin", s.line("env"))
	return env, "bash -e " + variables["ACTIONS_RUNNER_HOOK_JOB_COMPLETED"]
}

// line is the text of a file of one line.
func (s *site) line(name string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil || strings.Count(string(text), "\n") != 1 {
		s.Fatalf("%s: %q, %v", name, text, err)
	}
	return strings.TrimSpace(string(text))
}

// TestGitHubHooks does what the runner does with a job of two steps: those with bash and sh each end with all of theirs.
func TestGitHubHooks(t *testing.T) {
	testbed.Program(t, "bash")
	forEachHolder(t, func(s *site) {
		env, completed := s.hooks()
		s.write("script.sh", 0o644, "./job\nbash -c 'sleep "+s.tag+" >/dev/null 2>&1 & sh -c ./job'\nexit 42\n")
		for i, shell := range []string{"bash", "sh"} {
			s.fails(42, `exec "$(command -v `+shell+`)"`+step, env...)
			s.jobsOver(2)
			s.wantDaemons(3 * (i + 1))
		}
		s.run(completed, env...)
	})
}

// TestGitHubService starts what is to last until the end of the job, from a step that supervise does not hold.
func TestGitHubService(t *testing.T) {
	testbed.Program(t, "bash")
	s := newSite(t, holders[2])
	env, completed := s.hooks()
	s.write("script.sh", 0o644, replaced(t, recipe(t, ciPage, "GitHub", 1), "./job", "sh -c './job; sleep "+s.tag+"'"))
	s.run(`/bin/bash`+step, env...)
	s.jobsOver(1)
	if len(s.daemons()) < 2 {
		t.Error("it ended with the step")
	}
	s.run(completed, env...)
	s.wantDaemonsSoon(0)
}

// TestGitHubShell is the shell that a workflow gives, with the script in place of {0}.
func TestGitHubShell(t *testing.T) {
	forEachHolder(t, func(s *site) {
		_, shell, _ := strings.Cut(recipe(s.T, ciPage, "GitHub", 2), "shell: ")
		s.write("script.sh", 0o644, "./job\nfalse\necho not here\n")
		s.fails(1, replaced(s.T, shell, "{0}", "script.sh"))
		s.judge(1)
	})
}

// TestGitHubRunner has a stand-in for the runner, which runs one job, and leaves what that has left.
func TestGitHubRunner(t *testing.T) {
	forEachHolder(t, func(s *site) {
		s.write("run.sh", 0o755, "#!/bin/sh\n[ \"$1 $2\" = '--jitconfig three' ] || exit 9\n./job\n")
		s.write("jit-config", 0o755, "#!/bin/sh\n[ ! -e done ] || exit 1\n: >done\necho three\n")
		s.run(recipe(s.T, ciPage, "GitHub", 3))
		s.judge(1)
	})
}

// TestAct runs a workflow on this machine, where there is act, with the shells of the page in PATH.
func TestAct(t *testing.T) {
	act := optional(t, "act")
	testbed.Program(t, "git")
	forEachHolder(t, func(s *site) {
		text := replaced(s.T, s.installed(recipe(s.T, ciPage, "Forgejo, Gitea, act", 0)), "export ", "echo ")
		path, _, _ := strings.Cut(strings.TrimPrefix(s.run(text), "PATH="), "\n")
		s.write("workflow.yml", 0o644, "on: push\njobs:\n  one:\n    runs-on: host\n    steps:\n      - run: "+s.dir+"/job\n"+
			"      - shell: sh\n        run: "+s.dir+"/job\n")
		s.run("git init --quiet && git -c user.name=a -c user.email=a@b commit --quiet --allow-empty -m one")
		s.run(act+" push --workflows workflow.yml --platform host=-self-hosted", "PATH="+path)
		s.judge(2)
	})
}
