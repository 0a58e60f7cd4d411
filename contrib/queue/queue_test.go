package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// shell is a job that is a script, in which TAG is the bed's tag.
func (b *bed) shell(id, script string) *Job {
	return &Job{ID: id, Argv: []string{"sh", "-c", strings.ReplaceAll(script, "TAG", b.tag)}}
}

// daemon leaves a daemon.
const daemon = "(setsid sleep TAG >/dev/null 2>&1 &); "

// TestJobs: what becomes of jobs of all kinds.
func TestJobs(t *testing.T) {
	b := newBed(t, 1)
	late := b.shell("late", daemon+"sleep TAG")
	late.Timeout = 0.2
	named := b.shell("named", `echo "$A"; pwd`)
	named.Env, named.Dir = []string{"A=b"}, "/"
	b.submit([]*Job{b.shell("good", daemon+"echo said"), b.shell("bad", "exit 3"), late, named, {ID: "none", Argv: []string{"/no/such"}}})
	if err := publish(b, "not a job"); err != nil {
		t.Fatal(err)
	}
	b.start(b.command("work"))
	all := b.results(6)
	want := map[string]string{"good": "exited 0 said\n", "bad": "exited 3 ", "late": "timeout", "named": "exited 0 b\n/\n", "none": "/no/such", "message-6": "no job"}
	for id, text := range want {
		switch r := all[id]; {
		case r == nil:
			t.Errorf("no result of %s", id)
		case r.Record == nil || r.Record.Exit == nil:
			if !strings.Contains(r.Error, text) {
				t.Errorf("%s: error %q, want %q", id, r.Error, text)
			}
		default:
			got := fmt.Sprintf("%s %d %s", r.Record.Cause, value(r.Record.Exit.Code), r.Output)
			if !strings.HasPrefix(got, text) || r.Attempt != 1 {
				t.Errorf("%s: %q, want %q; attempt %d", id, got, text, r.Attempt)
			}
		}
	}
}

func value(p *int) int {
	if p == nil {
		return -1
	}
	return *p
}

// publish puts any message where jobs are expected.
func publish(b *bed, text string) error {
	nc, err := nats.Connect(b.urls)
	if err != nil {
		return err
	}
	defer nc.Close()
	_, err = nc.Request("jobs.q", []byte(text), 10*time.Second)
	return err
}

// TestAtOnce: a queue's limit holds for all its workers together, and a worker takes no more than it runs.
func TestAtOnce(t *testing.T) {
	b := newBed(t, 1)
	var jobs []*Job
	for i := range 12 {
		jobs = append(jobs, b.shell(strconv.Itoa(i), "sleep 0.1"))
	}
	b.submit(jobs)
	for range 3 {
		b.start(b.command("work", "--slots=4", "--at-once=2"))
	}
	type edge struct {
		at time.Time
		by int
	}
	var edges []edge
	for _, r := range b.results(len(jobs)) {
		edges = append(edges, edge{r.Record.Started.Time, 1}, edge{r.Record.Ended.Time, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return a.at.Compare(b.at) })
	running, most := 0, 0
	for _, e := range edges {
		running += e.by
		most = max(most, running)
	}
	if most != 2 {
		t.Errorf("%d jobs ran at once, want 2", most)
	}
}

// killer kills its supervisor. Without cgroups there is another one between.
const killer = `up=$(cut -d ' ' -f 4 /proc/$PPID/stat); [ "$(cat /proc/$up/comm)" != supervise ] || kill -9 $up; kill -9 $PPID`

// TestGivenUp: a job that ends its workers is not tried for ever.
func TestGivenUp(t *testing.T) {
	b := newBed(t, 1)
	b.submit([]*Job{b.shell("killer", daemon+killer), b.shell("good", "true")})
	done := make(chan map[string]*Result)
	go func() { done <- b.results(2) }()
	for {
		w := b.start(b.command("work", "--slots=1"))
		select {
		case all := <-done:
			if r := all["killer"]; !r.GivenUp || r.Attempt != maxAttempts+1 || r.Record != nil {
				t.Errorf("%+v", r)
			}
			if r := all["good"]; r.Record.Exit == nil || *r.Record.Exit.Code != 0 {
				t.Errorf("%+v", r)
			}
			return
		case <-w.ended:
		}
	}
}

// TestGivenBack: a job that a worker gives back because it was told to end was not tried.
func TestGivenBack(t *testing.T) {
	b := newBed(t, 1)
	began, last := filepath.Join(t.TempDir(), "began"), filepath.Join(t.TempDir(), "last")
	if err := syscall.Mkfifo(began, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(began, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	pipe.SetReadDeadline(time.Now().Add(time.Minute))
	b.submit([]*Job{b.shell("job", fmt.Sprintf("echo >%s; [ -e %s ] || sleep TAG", began, last))})
	for range 3 {
		w := b.start(b.command("work"))
		if _, err := pipe.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		w.Process.Signal(syscall.SIGTERM)
		<-w.ended
		if !w.ProcessState.Success() {
			t.Errorf("the worker: %v", w.ProcessState)
		}
	}
	if err := os.WriteFile(last, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start(b.command("work"))
	if r := b.results(1)["job"]; r.Attempt != 1 || r.Record == nil || r.Record.Cause != "exited" {
		t.Errorf("%+v", r)
	}
}

// TestNoServer: who waits for a server that does not come says so.
func TestNoServer(t *testing.T) {
	url := fmt.Sprintf("nats://127.0.0.1:%d", freePorts(t, 1)[0])
	c := exec.CommandContext(t.Context(), filepath.Join(bin, "queue"), "submit", "--nats="+url, "--", "true")
	errors, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	deadline := time.AfterFunc(30*time.Second, func() { c.Process.Kill() })
	defer deadline.Stop()
	said, _ := bufio.NewReader(errors).ReadString('\n')
	if !strings.Contains(said, "waiting for "+url) {
		t.Errorf("it says %q", said)
	}
}

// TestLarge: a job of nearly the size of a message runs once, though its result with the output is larger.
func TestLarge(t *testing.T) {
	b := newBed(t, 1)
	j := b.shell("large", "head -c 200000 /dev/urandom; exit 3")
	for range 8 {
		j.Argv = append(j.Argv, strings.Repeat("x", 120000))
	}
	b.submit([]*Job{j})
	b.start(b.command("work"))
	r := b.results(1)["large"]
	if r.Attempt != 1 || r.GivenUp || r.Record == nil || value(r.Record.Exit.Code) != 3 || !strings.Contains(r.Error, "left out") {
		t.Errorf("attempt %d, given up: %v, record %v, error %q", r.Attempt, r.GivenUp, r.Record, r.Error)
	}
}

// TestMany: three servers and three workers, of which one is killed again and again. Each job has one result, and nothing is left.
// QUEUE_JOBS is how many they are, QUEUE_KILL the time between two kills.
func TestMany(t *testing.T) {
	n, every := 300, time.Second
	if text := os.Getenv("QUEUE_JOBS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	if text := os.Getenv("QUEUE_KILL"); text != "" {
		every, _ = time.ParseDuration(text)
	}
	b := newBed(t, 3)
	var jobs []*Job
	for i := range n {
		j := b.shell(fmt.Sprintf("job-%d", i), []string{"echo said", daemon + "echo said", "sleep 0.05; echo said", daemon + "echo said; exit 3"}[i%4])
		jobs = append(jobs, j)
	}
	b.submit(jobs, "--replicas=3")
	var workers []*program
	for i := range 3 {
		workers = append(workers, b.start(b.command("work", "--slots=4", fmt.Sprintf("--name=w%d", i))))
	}
	done := make(chan map[string]*Result)
	began := time.Now()
	go func() { done <- b.results(n) }()
	killed := 0
	for {
		select {
		case all := <-done:
			t.Logf("%d jobs in %v, %d workers killed", n, time.Since(began).Round(time.Millisecond), killed)
			for i := range n {
				r := all[fmt.Sprintf("job-%d", i)]
				if r == nil || r.Record == nil || r.Record.Exit == nil || *r.Record.Exit.Code != 3*(i%4/3) || r.Output != "said\n" {
					t.Errorf("job %d: %+v", i, r)
				}
			}
			if killed == 0 {
				t.Error("no worker was killed")
			}
			return
		case <-time.After(every):
			i := rand.IntN(len(workers))
			workers[i].kill()
			killed++
			workers[i] = b.start(b.command("work", "--slots=4", fmt.Sprintf("--name=w%d", i)))
		}
	}
}
