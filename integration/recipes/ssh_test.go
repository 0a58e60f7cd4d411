package recipes

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// sshd gives the test keys, and a server for each connection that is the client's child and tells its end. The home of the user
// is the test's: what the user's shell reads there may find another supervise, such as that of go install.
func (s *site) sshd(config string) {
	s.Helper()
	s.run(`ssh-keygen -q -t ed25519 -N '' -f host_key && ssh-keygen -q -t ed25519 -N '' -f key`)
	s.write("sshd_config", 0o600, strings.NewReplacer("DIR", s.dir, "PROGRAMS", s.programs).Replace(`
		HostKey DIR/host_key
		AuthorizedKeysFile DIR/key.pub
		StrictModes no
		UsePAM no
		PermitRootLogin yes
		SetEnv PATH=PROGRAMS:/usr/bin:/bin HOME=DIR
	`)+config)
	s.write("server", 0o755, "#!/bin/sh\nunshare --mount sh -c 'mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -i -f sshd_config'\necho 0 1<>served\n")
	s.write("ssh_config", 0o600, strings.ReplaceAll(`
		Host host
		ProxyCommand DIR/server
		User root
		IdentityFile DIR/key
		UserKnownHostsFile /dev/null
		StrictHostKeyChecking no
		LogLevel ERROR
	`, "DIR", s.dir))
}

// ssh is the client of a command line, with the test's configuration.
func (s *site) ssh(line string) *exec.Cmd {
	return s.command("sh", "-c", "exec "+replaced(s.T, replaced(s.T, line, "ssh host", "ssh -F ssh_config host"), "./job", s.dir+"/job"))
}

func needSSH(t *testing.T) {
	t.Helper()
	testbed.Program(t, "/usr/sbin/sshd")
	testbed.Program(t, "ssh")
	needNamespace(t)
}

func TestSSH(t *testing.T) {
	needSSH(t)
	forEachHolder(t, func(s *site) {
		s.sshd("")
		if out, err := s.ssh(recipe(s.T, page, "ssh", 0)).CombinedOutput(); err != nil {
			s.Fatalf("%v\n%s", err, out)
		}
		s.judge(1)
	})
}

func TestSSHForced(t *testing.T) {
	needSSH(t)
	forEachHolder(t, func(s *site) {
		s.sshd(s.local(recipe(s.T, page, "ssh", 1)))
		if out, err := s.ssh("ssh host './job; exit 3'").CombinedOutput(); err == nil || err.Error() != "exit status 3" {
			s.Fatalf("%v\n%s", err, out)
		}
		s.judge(1)
	})
}

// TestSSHBroken ends the client while the command runs.
func TestSSHBroken(t *testing.T) {
	needSSH(t)
	forEachHolder(t, func(s *site) {
		s.sshd("")
		served := s.fifo("served")
		s.write("long", 0o755, "#!/bin/sh\n"+s.dir+"/job\nexec sleep "+s.tag+"\n")
		client := s.ssh(recipe(s.T, page, "ssh", 0))
		client.Args[2] = replaced(s.T, client.Args[2], s.dir+"/job", s.dir+"/long")
		if err := client.Start(); err != nil {
			s.Fatal(err)
		}
		s.jobsOver(1)
		client.Process.Kill()
		client.Wait()
		if _, err := served.Read(make([]byte, 1)); err != nil {
			s.Fatalf("waiting for the end of sshd: %v", err)
		}
		s.wantDaemonsSoon(2)
	})
}

// TestSSHFiles copies files by sftp, and by scp, which uses the same server or a command of its own. The server is a program, or a
// part of sshd.
func TestSSHFiles(t *testing.T) {
	needSSH(t)
	const program = "/usr/lib/openssh/sftp-server"
	for _, name := range []string{"sftp", "scp", program} {
		testbed.Program(t, name)
	}
	for _, server := range []string{program, "internal-sftp", "internal-sftp -l ERROR"} {
		t.Run(server, func(t *testing.T) {
			s := newSite(t, holders[1])
			s.sshd(s.local(recipe(t, page, "ssh", 1)) + "\nSubsystem sftp " + server + "\n")
			s.write("from", 0o644, "text\n")
			s.run("echo 'get " + s.dir + "/from got' | sftp -q -F ssh_config -b - host")
			s.run("scp -q -F ssh_config from host:" + s.dir + "/put")
			s.run("scp -O -q -F ssh_config from host:" + s.dir + "/old")
			if got := s.run("cat got put old"); got != "text\ntext\ntext\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}
