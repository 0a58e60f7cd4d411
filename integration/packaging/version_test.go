package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestVersion: the version is that of the tag, and each is later to dpkg than the one before.
func TestVersion(t *testing.T) {
	onHost(t)
	testbed.Program(t, "git")
	dir := t.TempDir()
	script := filepath.Join(dir, "contrib/packaging/version")
	for _, file := range []string{"contrib/packaging/version", "cmd/internal/cli/version.go", "contrib/doc/CHANGELOG.md"} {
		copyFile(t, filepath.Join(dir, file), testbed.Source(file))
	}
	if got := output(t, script); !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(got) {
		t.Errorf("without git it is %q", got)
	}

	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org", "-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_DATE=@1769000000 +0000", "GIT_COMMITTER_DATE=@1769000000 +0000")
		said(t, cmd)
	}
	git("init", "-q")
	before := "0~"
	for _, step := range []struct{ tag, want string }{
		{"", `0~git20260121\.[0-9a-f]{7}`},
		{"v1.3.0-rc.1", `1\.3\.0~rc\.1`},
		{"", `1\.3\.0~rc\.1\+git1\.[0-9a-f]{7}`},
		{"v1.3.0", `1\.3\.0`},
		{"", `1\.3\.0\+git1\.[0-9a-f]{7}`},
		{"", `1\.3\.0\+git2\.[0-9a-f]{7}`},
		{"v1.3.1", `1\.3\.1`},
	} {
		git("commit", "-q", "--allow-empty", "-m", "a change")
		if step.tag != "" {
			git("tag", step.tag)
		}
		got := output(t, script)
		if !regexp.MustCompile("^" + step.want + "$").MatchString(got) {
			t.Errorf("tag %q: the version is %q, want %s", step.tag, got, step.want)
		}
		output(t, "dpkg", "--compare-versions", got, "gt", before)
		before = got
	}
	if got := output(t, script, "--date"); got != "1769000000" {
		t.Errorf("the time of the commit is %s", got)
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content(t, from), 0o755); err != nil {
		t.Fatal(err)
	}
}
