package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol"
	"golang.org/x/sys/unix"
)

// TestSupervisorKilled: every call and Wait hears of it, and the jobs end.
func TestSupervisorKilled(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, daemon+"exec sleep 1000")
		pid := firstLine(t, cmd)
		idle := c.sh(t, "exec sleep 1000")
		if err := idle.Start(); err != nil {
			t.Fatal(err)
		}
		if err := c.process.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for _, cmd := range []*Cmd{cmd, idle} {
			if err := cmd.Wait(); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "signal: killed") {
				t.Errorf("got %v", err)
			}
			if cmd.Record() != nil {
				t.Error("it has a record")
			}
		}
		if err := c.Command("true").Run(); !errors.Is(err, ErrLost) {
			t.Errorf("afterwards: %v", err)
		}
		if err := idle.Kill(); !errors.Is(err, ErrLost) {
			t.Errorf("afterwards: %v", err)
		}
		for _, pid := range []int{pid, cmd.Pid(), idle.Pid()} {
			if left := settled(func() string { return present(pid) }); left != "" {
				t.Errorf("%s is still there", left)
			}
		}
	})
}

// present names a process that is there; what was re-parented to us is reaped.
func present(pid int) string {
	unix.Wait4(pid, nil, unix.WNOHANG, nil)
	if gone(pid) {
		return ""
	}
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return string(comm)
}

// TestClose: it ends all jobs, and each Wait gets its record.
func TestClose(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, daemon+"exec sleep 1000")
		pid := firstLine(t, cmd)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		mustBeGone(t, pid)
		if err := cmd.Wait(); err == nil || cmd.Record() == nil || cmd.Record().Cause != protocol.CauseOwnerGone {
			t.Errorf("got %v", err)
		}
		if c.Err() != ErrClosed || c.Close() != nil {
			t.Errorf("it is %v", c.Err())
		}
	})
}

func TestShutdown(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, `trap 'exit 5' TERM; echo $$; while :; do sleep 0.01; done`)
		pid := firstLine(t, cmd)
		if err := c.Shutdown(limit(t), patience); err != nil {
			t.Error(err)
		}
		mustBeGone(t, pid)
		if cmd.Wait(); cmd.ExitCode() != 5 {
			t.Errorf("it ended with %v", cmd.Wait())
		}
	})
}

// TestOwnSupervisor: a command without a connection.
func TestOwnSupervisor(t *testing.T) {
	out, err := CommandContext(limit(t), "sh", "-c", "setsid sleep 1000 & echo $!").Output()
	pid, _ := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || pid == 0 {
		t.Fatalf("got %q, %v", out, err)
	}
	mustBeGone(t, pid)
	if err := CommandContext(limit(t), "no-such-command").Run(); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestNoSupervisor(t *testing.T) {
	if _, err := Start(limit(t), Options{Path: "no-such-supervise"}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := Start(limit(t), Options{Args: []string{"--no-such-flag"}}); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("got %v", err)
	}
	cmd := Command("true")
	cmd.Supervisor.Path = "/bin/false"
	if err := cmd.Run(); !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := CommandContext(ctx, "true").Run(); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// TestDial: a supervisor with a connection for descriptor 0, as systemd starts it.
func TestDial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() { served <- serve(l) }() // ends with the connection
	c, err := Dial(limit(t), "unix", path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.Command("echo", "hello").Output(); err != nil || string(out) != "hello\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if err := errors.Join(c.Close(), <-served); err != nil {
		t.Error(err)
	}
}

func serve(l net.Listener) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	f, err := conn.(*net.UnixConn).File()
	conn.Close()
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.Command(supervise, "serve")
	cmd.Stdin = f
	return cmd.Run()
}

// TestOwnerKilled: a client that is killed leaves nothing.
func TestOwnerKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	owner := exec.Command(self)
	owner.Env = append(os.Environ(), "SUPERVISE_TEST_HELPER=owner")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	lines := bufio.NewReader(out)
	fmt.Fscanln(lines, &pid)
	owner.Process.Kill()
	owner.Wait()
	if pid == 0 {
		t.Fatal("it told no pid")
	}
	if left := settled(func() string { return present(pid) }); left != "" {
		t.Errorf("%s is still there", left)
	}
	if left := settled(children); left != "" {
		t.Errorf("there are processes: %s", left)
	}
}

// helperOwner is the owner that TestOwnerKilled kills.
func helperOwner() int {
	cmd := Command("sh", "-c", daemon+"exec sleep 1000")
	cmd.Stdout = os.Stdout
	fmt.Fprintln(os.Stderr, cmd.Run())
	return 1
}

// TestCtrlC: a terminal sends SIGINT to the process group of a client. With a context of signal.NotifyContext the job is
// killed; with a Cancel that stops it, it saves first, and a second Ctrl-C is the end.
func TestCtrlC(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ how, twice, want string }{
		{"kill", "", "killed (signal: SIGKILL)\n"}, {"stop", "", "saved\nkilled (exit status 7)\n"}, {"stop", "deaf", "saves\n"},
	} {
		client := exec.Command(self, tt.how, tt.twice)
		client.Env = append(os.Environ(), "SUPERVISE_TEST_HELPER=interrupted")
		client.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		out, err := client.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "ready\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		unix.Kill(-client.Process.Pid, unix.SIGINT)
		said := ""
		if tt.twice != "" {
			said, _ = lines.ReadString('\n')
			unix.Kill(-client.Process.Pid, unix.SIGINT)
		}
		rest, err := io.ReadAll(lines) // ends when nobody of the job is left
		if said += string(rest); said != tt.want || err != nil {
			t.Errorf("%s %s: got %q, %v, want %q", tt.how, tt.twice, said, err, tt.want)
		}
		client.Wait()
		if left := settled(children); left != "" {
			t.Errorf("there are processes: %s", left)
		}
	}
}

// helperInterrupted is the client that TestCtrlC interrupts.
func helperInterrupted() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	end := "echo saved; exit 7"
	if os.Args[2] == "deaf" {
		end = "echo saves; while :; do sleep 1; done"
	}
	cmd := CommandContext(ctx, "sh", "-c", "trap '"+end+"' INT; echo ready; while :; do sleep 0.01; done")
	if os.Args[1] == "stop" {
		cmd.StopSignal = os.Interrupt
		cmd.Cancel = func() error { stop(); return cmd.Stop(patience) }
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = io.Copy(os.Stdout, out)
	}
	fmt.Println(errors.Join(err, cmd.Wait()))
	return 0
}
