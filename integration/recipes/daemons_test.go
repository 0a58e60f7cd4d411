package recipes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// needNamespace skips a test that wants mounts of its own.
func needNamespace(t *testing.T) {
	t.Helper()
	msg, err := exec.Command("unshare", "--mount", "true").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, msg)
	}
	testbed.Need(t, "a mount namespace", err)
}

// inNamespace is a script that sees directories of its own in place of the machine's, empty.
func (s *site) inNamespace(script string, empty ...string) *exec.Cmd {
	var mounts strings.Builder
	for _, dir := range empty {
		fmt.Fprintf(&mounts, "mount -t tmpfs none %s\n", dir)
	}
	return s.command("unshare", "--mount", "sh", "-c", "set -eu\n"+mounts.String()+script)
}

// start starts a program, which is ended at the end of the test.
func (s *site) start(c *exec.Cmd) {
	s.Helper()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && s.Failed() {
			s.Logf("%s", text)
		}
	})
}

// TestCron has cron execute the job at its start: it looks for others once a minute, and executes them alike.
func TestCron(t *testing.T) {
	testbed.Program(t, "cron")
	needNamespace(t)
	forEachHolder(t, func(s *site) {
		table := replaced(s.T, s.local(recipe(s.T, page, "cron", 0)), "0 4 * * *", "@reboot")
		s.write("table", 0o644, "MAILTO=\"\"\n"+replaced(s.T, table, "./job", filepath.Join(s.dir, "job")))
		s.start(s.inNamespace("cp table /etc/cron.d/table\nmkdir /var/spool/cron/crontabs\nmount --bind /dev/null /etc/crontab\nexec cron -f",
			"/etc/cron.d", "/var/spool/cron", "/run"))
		s.judgeSoon(1)
	})
}

// TestAt has atd look once for what is due.
func TestAt(t *testing.T) {
	testbed.Program(t, "atd")
	needNamespace(t)
	forEachHolder(t, func(s *site) {
		queue := replaced(s.T, recipe(s.T, page, "at", 0), "now + 1 hour", "now")
		c := s.inNamespace(`cd /var/spool/cron
			mkdir atjobs atspool
			: >atjobs/.SEQ
			chown daemon:daemon atjobs atspool atjobs/.SEQ
			chmod 1770 atjobs atspool
			cd "$OLDPWD"
			`+queue+`atd -s`, "/var/spool/cron", "/run")
		if out, err := c.CombinedOutput(); err != nil {
			s.Fatalf("%v\n%s", err, out)
		}
		s.judgeSoon(1)
	})
}
