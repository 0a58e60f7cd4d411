package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take.
const patience = 5 * time.Minute

var bin string // directory of queue and supervise

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "queue-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, args := range [][]string{{"build", "-o", dir, "."}, {"build", "-C", "../..", "-o", dir, "./cmd/supervise"}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			fmt.Printf("go %q: %v\n%s", args, err, out)
			return 1
		}
	}
	bin = dir
	return m.Run()
}

// A bed is a test's servers and workers.
type bed struct {
	t    *testing.T
	ctx  context.Context
	urls string
	tag  string // an argument that the processes of no other test have
}

// newBed starts servers: one, or a cluster of some.
func newBed(t *testing.T, servers int) *bed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	b := &bed{t: t, ctx: ctx, tag: fmt.Sprintf("9876.%d%d", os.Getpid(), time.Now().UnixNano()%1e6)}
	t.Cleanup(b.expectNothingLeft)
	ports := freePorts(t, servers)
	var routes, urls []string
	for _, port := range ports {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range servers {
		args := []string{"--port=-1", "--dir=" + t.TempDir()}
		if servers > 1 {
			args = append(args, fmt.Sprintf("--name=s%d", i), fmt.Sprintf("--cluster-port=%d", ports[i]), "--routes="+strings.Join(routes, ","))
		}
		s := b.command("serve", args...)
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		b.start(s)
		var url string
		if _, err := fmt.Fscanln(out, &url); err != nil {
			t.Fatalf("server %d: %v", i, err)
		}
		urls = append(urls, url)
	}
	b.urls = strings.Join(urls, ",")
	return b
}

// freePorts returns ports of the loopback that are free, and which the kernel gives to no other program soon.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// command is a subcommand of queue's.
func (b *bed) command(name string, args ...string) *exec.Cmd {
	if name != "serve" {
		args = append([]string{"--nats=" + b.urls, "--queue=q"}, args...)
	}
	c := exec.CommandContext(b.ctx, filepath.Join(bin, "queue"), append([]string{name}, args...)...)
	c.Env = append(os.Environ(), "SUPERVISE_BIN="+filepath.Join(bin, "supervise"))
	c.Stderr = &saying{t: b.t, name: name}
	return c
}

// A saying shows what a program says on standard error.
type saying struct {
	t    *testing.T
	name string
}

func (s *saying) Write(p []byte) (int, error) {
	s.t.Logf("%s: %s", s.name, bytes.TrimSpace(p))
	return len(p), nil
}

// A program is one that runs.
type program struct {
	*exec.Cmd
	ended chan struct{} // closed when it has
}

// start starts a program, which is killed at the end of the test.
func (b *bed) start(c *exec.Cmd) *program {
	b.t.Helper()
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	p := &program{c, make(chan struct{})}
	go func() { // ends with the program
		c.Wait()
		close(p.ended)
	}()
	b.t.Cleanup(p.kill)
	return p
}

// kill kills it, and returns when it is dead.
func (p *program) kill() {
	p.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

// submit gives the queue jobs.
func (b *bed) submit(jobs []*Job, flags ...string) {
	b.t.Helper()
	var lines bytes.Buffer
	for _, j := range jobs {
		json.NewEncoder(&lines).Encode(j)
	}
	c := b.command("submit", flags...)
	c.Stdin = &lines
	if err := c.Run(); err != nil {
		b.t.Fatalf("submit: %v", err)
	}
}

// results waits for n results, and returns them by the IDs of their jobs. No job may have two.
func (b *bed) results(n int) map[string]*Result {
	b.t.Helper()
	out, err := b.command("results", fmt.Sprintf("-n=%d", n)).Output()
	if err != nil {
		b.t.Fatalf("results: %v; there are %d of %d", err, bytes.Count(out, []byte("\n")), n)
	}
	all := map[string]*Result{}
	for line := range strings.Lines(string(out)) {
		r := &Result{}
		if err := json.Unmarshal([]byte(line), r); err != nil {
			b.t.Fatal(err)
		}
		if all[r.ID] != nil {
			b.t.Errorf("two results of %s", r.ID)
		}
		all[r.ID] = r
	}
	return all
}

// processes lists those that have the bed's tag.
func (b *bed) processes() (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && bytes.Contains(text, []byte(b.tag)) {
			found = append(found, f+" "+string(bytes.ReplaceAll(text, []byte{0}, []byte(" "))))
		}
	}
	return found
}

// expectNothingLeft waits until no process of a job is alive. What a killed worker held goes when its supervisor has heard of it.
func (b *bed) expectNothingLeft() {
	var left []string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if left = b.processes(); len(left) == 0 {
			return
		}
	}
	b.t.Errorf("left: %q", left)
}
