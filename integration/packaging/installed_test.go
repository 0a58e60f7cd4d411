package packaging

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience is for what comes at once on a machine that does nothing else.
const patience = 2 * time.Minute

// TestNewUser is what a user does who tries supervise: installs the packages on a fresh Debian, runs a job, lists it, watches
// it, kills it, looks at its report, and purges the packages. Nothing is left behind.
func TestNewUser(t *testing.T) {
	if os.Getenv("SUPERVISE_BED") == "" || os.Geteuid() != 0 {
		t.Skip("only as root in integration/bed and integration/vm: CI runs this test in both")
	}
	before := takeStock(t)
	t.Cleanup(func() { compareStock(t, before) })
	wanted := install(t)
	t.Cleanup(func() { apt(t, "purge", wanted...) })

	t.Run("job", testJob)
	t.Run("top", testTop)
	t.Run("report", testReport)
	t.Run("python", testPython)
	t.Run("units", testUnits)
	if isGuest() {
		return // which has neither of what follows: that would make its image twice as large
	}
	t.Run("pages", testPages)
	t.Run("completions", testCompletions)
	t.Run("node", testNode)
	t.Run("c", testC)
}

func isGuest() bool { return os.Getenv("SUPERVISE_BED") == "vm" }

// install installs the packages whose dependencies are there, by what README.md says.
func install(t *testing.T) (wanted []string) {
	t.Helper()
	wanted = slices.Clone(names)
	if isGuest() {
		wanted = []string{"supervise", "supervise-tools", "libsupervise1", "libsupervise-dev", "python3-supervise-api"}
	}
	var packages []string
	for _, name := range wanted {
		packages = append(packages, find(t, directory(t), name+"_*.deb"))
	}
	apt(t, "install", packages...)
	return wanted
}

func apt(t *testing.T, verb string, packages ...string) {
	t.Helper()
	args := append([]string{"-y", "-q", "-o", "APT::Sandbox::User=root", "--no-install-recommends", verb}, packages...)
	cmd := exec.Command("apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("apt-get %s: %v\n%s", verb, err, msg)
	}
}

// user returns a command of the ordinary user's, in a login session. Systemd has its own idea of a $.
func user(script string) *exec.Cmd {
	script = strings.ReplaceAll("cd; "+script+"\nexit $?", "$", "$$")
	return exec.Command("systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--uid=tester", "--property=PAMName=login",
		"--setenv=TERM=xterm-256color", "--", "bash", "-lc", script)
}

// userSays is what it prints.
func userSays(t *testing.T, script string) string {
	t.Helper()
	return said(t, user(script))
}

// startJob starts a job of the user's that sleeps. It has ended when the test has.
func startJob(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	job := user("supervise run --contain=cgroup --name " + name + " -- sh -c 'echo ready; exec sleep 1000'")
	job.Stderr = os.Stderr
	out, err := job.StdoutPipe()
	if err == nil {
		err = job.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if job.ProcessState == nil {
			user("supervise kill " + name).Run()
			job.Wait()
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the job says %q, %v", line, err)
	}
	return job
}

func testJob(t *testing.T) {
	if got := userSays(t, "supervise run -- sh -c 'setsid sleep 1000 & echo done'"); got != "done" {
		t.Errorf("the first job says %q", got)
	}
	job := startJob(t, "night")
	if got := userSays(t, "supervise list"); !strings.Contains(got, "night") {
		t.Errorf("supervise list says\n%s", got)
	}
	if got := userSays(t, "supervise stat night"); !strings.Contains(got, "night") {
		t.Errorf("supervise stat says\n%s", got)
	}
	userSays(t, "supervise kill night")
	if err := job.Wait(); err == nil || job.ProcessState.ExitCode() != 128+9 && job.ProcessState.ExitCode() != 128+15 {
		t.Errorf("the job that was killed: %v", err)
	}
	if got := userSays(t, "supervise list"); strings.Contains(got, "night") {
		t.Errorf("after the kill supervise list says\n%s", got)
	}
}

// testTop: the screen of supervise top has the job.
func testTop(t *testing.T) {
	startJob(t, "shown")
	top := user("supervise run --pty -- supervise top --every=100ms")
	top.Stderr = os.Stderr
	in, err := top.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := top.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := top.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { top.Process.Kill() })
	defer late.Stop()
	screen := ""
	for buf := make([]byte, 4096); !strings.Contains(screen, "shown"); {
		n, err := out.Read(buf)
		screen += string(buf[:n])
		if err != nil {
			t.Errorf("the screen does not show the job: %v\n%q", err, screen)
			break
		}
	}
	io.WriteString(in, "q")
	io.Copy(io.Discard, out)
	if err := top.Wait(); err != nil {
		t.Errorf("supervise top: %v", err)
	}
}

func testPython(t *testing.T) {
	got := userSays(t, `python3 -c 'if True:
		import supervise_api, importlib.metadata
		done = supervise_api.run(["echo", "hi"], capture_output=True, text=True)
		print(done.stdout.strip(), done.record.containment, importlib.metadata.version("supervise_api") != "")'`)
	if got != "hi cgroup True" {
		t.Errorf("it says %q", got)
	}
}

// testUnits: they are there and not enabled; the socket of the user's answers, and the metrics are written. They are left as
// they are then, for the purge.
func testUnits(t *testing.T) {
	if got := output(t, "sh", "-c", "systemctl is-enabled supervise-metrics.timer; systemctl is-active supervise-metrics.timer; :"); got != "disabled\ninactive" {
		t.Errorf("supervise-metrics.timer is %q", got)
	}
	if got := userSays(t, "systemctl --user is-enabled supervise.socket; :"); got != "disabled" {
		t.Errorf("supervise.socket is %q", got)
	}
	got := userSays(t, `systemctl --user daemon-reload && systemctl --user start supervise.socket && python3 -c 'if True:
		import os, socket
		connection = socket.socket(socket.AF_UNIX)
		connection.connect(os.environ["XDG_RUNTIME_DIR"] + "/supervise")
		connection.sendall(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{\"versions\":[1]}}\n")
		print(connection.makefile().readline())'`)
	if !strings.Contains(got, `"server":"supervise v`) {
		t.Errorf("the socket says %q", got)
	}

	dir := "/var/lib/prometheus/node-exporter" // of the package of that name
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll("/var/lib/prometheus")
	output(t, "systemctl", "enable", "--quiet", "--now", "supervise-metrics.timer")
	testbed.Eventually(t, patience, "waiting for the metrics", func() error {
		_, err := os.Stat(filepath.Join(dir, "supervise.prom"))
		return err
	})
}

// testReport: the page of a job that has run.
func testReport(t *testing.T) {
	got := userSays(t, `cd "$(mktemp -d)" && supervise run --record job.json --samples job.jsonl --sample 50ms -- sleep 0.3 &&
		supervise report . -o report.html && grep -c '<svg' report.html; rm -r "$PWD"`)
	if got == "" || got == "0" {
		t.Errorf("there are %q charts", got)
	}
}

func testPages(t *testing.T) {
	pages := []string{"supervise", "supervise-run", "supervise-top", "supervise-report", "supervise-serve", "supervise.record", "unlinkwait", "supervise_spawnfd", "supervise_read_event"}
	got := userSays(t, "man -w "+strings.Join(pages, " "))
	if n := len(strings.Fields(got)); n != len(pages) {
		t.Errorf("man finds %d pages, want %d:\n%s", n, len(pages), got)
	}
	if got := userSays(t, "MANPAGER=cat man supervise"); !strings.Contains(got, "NAME") {
		t.Errorf("man supervise says %q", got)
	}
}

// testCompletions: bash loads its own when they are asked for; the others are where Debian's zsh and fish look.
func testCompletions(t *testing.T) {
	got := userSays(t, `source /usr/share/bash-completion/bash_completion
		_completion_loader supervise
		COMP_WORDS=(supervise li) COMP_CWORD=1 COMP_LINE='supervise li' COMP_POINT=12
		"$(complete -p supervise | sed 's/.*-F \([^ ]*\).*/\1/')" supervise li supervise
		echo "${COMPREPLY[@]}"`)
	if !slices.Contains(strings.Fields(got), "list") {
		t.Errorf("bash offers %q for supervise li", got)
	}
	for _, file := range []string{"zsh/vendor-completions/_supervise", "fish/vendor_completions.d/supervise.fish"} {
		content(t, filepath.Join("/usr/share", file))
	}
}

func testNode(t *testing.T) {
	for how, script := range map[string]string{
		"require": `node -e 'require("supervise-api").run(["echo", "hi"]).then(done => console.log(done.stdout.trim()))'`,
		"import":  `cd "$(mktemp -d)"; mkdir node_modules; ln -s /usr/share/nodejs/supervise-api node_modules/; node --input-type=module -e 'import { run } from "supervise-api"; console.log((await run(["echo", "hi"])).stdout.trim())'`,
	} {
		if got := userSays(t, script); got != "hi" {
			t.Errorf("%s: it says %q", how, got)
		}
	}
}

func testC(t *testing.T) {
	got := userSays(t, `cd "$(mktemp -d)" && gcc -o example /usr/share/doc/libsupervise-dev/examples/example.c $(pkg-config --cflags --libs supervise) &&
		ldd ./example | grep -o 'libsupervise.so.1 => /' && ./example echo hi; rm -r "$PWD"`)
	if !strings.Contains(got, "libsupervise.so.1 => /") || !strings.Contains(got, "hi") {
		t.Errorf("the example says %q", got)
	}
}
