// Package faults fails each system call that supervise makes, once, with each error that it may have, and looks at what
// becomes of the job.
//
// The calls come to the test by a seccomp filter (SECCOMP_RET_USER_NOTIF), which all processes of a run inherit; those that are
// not of the supervise binary pass. A traced run says which calls there are. Then each is failed at its first, second and last
// occurrence. Allowed are two ends: the job is as it should be, or there is one clear line and status 125 (in serve an error).
//
//	go test -count=1 ./integration/faults           # what once was wrong, and a seeded selection
//	go test -count=1 ./integration/faults -all      # all, in some minutes, with the table of outcomes
//	go test -count=1 -v ./integration/faults -all -only 'run/cgroup child clone3'
package faults

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

var (
	all  = flag.Bool("all", false, "fail every call, not a selection")
	only = flag.String("only", "", "only cases whose name contains this")
	seed = flag.Uint64("seed", 0, "of the selection; 0: another one each time")
	live = flag.Bool("live", false, "print what is wrong at once")
	most = flag.Duration("for", 0, "how long the selection may take; 0: 20 s, with -short half of it")
)

// worker in the environment turns the test binary into a worker, which reads attempts and writes outcomes.
const worker = "SUPERVISE_FAULTS_WORKER"

var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	if dir := os.Getenv(worker); dir != "" {
		if err := work(dir); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testbed.Run("faults", func(dir string) int { bin = dir; return m.Run() }))
}

// An attempt is a scenario with a fault, or without: then it is traced.
type attempt struct {
	Scenario string
	Fault    *fault
	Runtime  bool // the call is made by Go's runtime
}

func (a attempt) String() string {
	if a.Fault == nil {
		return a.Scenario
	}
	return fmt.Sprintf("%s %s #%d %s", a.Scenario, a.Fault.Call, a.Fault.Nth, unix.ErrnoName(a.Fault.Errno))
}

func work(dir string) error {
	b, err := newBench(dir)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	os.Stdin = nil
	for lines.Scan() {
		var a attempt
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return err
		}
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == a.Scenario })
		text, err := json.Marshal(b.try(&scenarios[i], a.Fault))
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", text)
	}
	return b.close()
}

// A crew is some workers.
type crew struct {
	t    *testing.T
	mu   sync.Mutex
	todo []attempt
	done func(attempt, outcome)
	end  time.Time // nothing is begun after that; zero: never
}

// do has attempts tried by workers; what becomes of them is told one after the other.
func (c *crew) do(n int) {
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() { // ends with the attempts
			if err := c.work(); err != nil {
				c.t.Error(err)
			}
		})
	}
	workers.Wait()
}

func (c *crew) work() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), worker+"="+bin)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	answers := bufio.NewReader(out)
	for a, ok := c.next(); ok; a, ok = c.next() {
		text, _ := json.Marshal(a)
		fmt.Fprintf(in, "%s\n", text)
		line, err := answers.ReadBytes('\n')
		var o outcome
		if err == nil {
			err = json.Unmarshal(line, &o)
		}
		if err != nil {
			return fmt.Errorf("worker at %v: %w", a, err)
		}
		c.mu.Lock()
		c.done(a, o)
		c.mu.Unlock()
	}
	in.Close()
	return cmd.Wait()
}

func (c *crew) next() (a attempt, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.todo) == 0 || !c.end.IsZero() && time.Now().After(c.end) {
		return a, false
	}
	a, c.todo = c.todo[0], c.todo[1:]
	return a, true
}

// workers is how many runs there are at once: each waits a good part of its time.
func workers() int { return runtime.NumCPU() + 1 }

// TestFaults fails calls.
func TestFaults(t *testing.T) {
	var plan []attempt
	for _, s := range possible(t) {
		plan = append(plan, attempt{Scenario: s.name})
	}
	var cases []attempt
	c := crew{t: t, todo: plan, done: func(a attempt, o outcome) {
		if o.Wrong != "" || o.Verdict != asItShould {
			t.Errorf("%v, without a fault: %s: %s\nstatus %d\n%s", a, o.Verdict, o.Wrong, o.Status, o.Stderr)
		}
		cases = append(cases, faultsOf(t, a.Scenario, o.Seen)...)
	}}
	c.do(workers())
	cases = slices.DeleteFunc(cases, func(a attempt) bool { return !strings.Contains(a.String(), *only) })
	slices.SortFunc(cases, func(a, b attempt) int { return strings.Compare(a.String(), b.String()) })
	results := newTable()
	c = crew{t: t, todo: cases, done: func(a attempt, o outcome) { results.add(t, a, o) }}
	if !*all {
		var others []attempt
		c.todo, others = selection(t, cases)
		c.do(workers())
		c.todo, c.end = others, time.Now().Add(selectionTime())
	}
	c.do(workers())
	results.print(t)
}

// selectionTime is for what is begun: what was begun is waited for.
func selectionTime() time.Duration {
	switch {
	case *most > 0:
		return *most
	case testing.Short():
		return 10 * time.Second
	}
	return 20 * time.Second
}

// possible are the scenarios that this machine has.
func possible(t *testing.T) []scenario {
	b, err := newBench(bin)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	if b.group == "" && os.Getenv("SUPERVISE_CI") != "" {
		t.Error("no cgroup can be made, and CI promises one")
	}
	return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool {
		return b.group == "" && s.cgroup || s.noFlag && !s.cgroup && os.Geteuid() != 0
	})
}

// faultsOf lists the ways to fail what was seen: the first, the second and the last time that each call is made.
func faultsOf(t *testing.T, name string, list []*seen) (cases []attempt) {
	for _, s := range list {
		errnos, ok := errnosOf(s.Call)
		if !ok && !s.Runtime {
			t.Errorf("%s: %v is not in the table of calls; made in %s", name, s.Call, ours(s.Site))
		}
		for i, nth := range []int{1, 2, s.Count} {
			if nth > s.Count || i == 2 && nth <= 2 || s.Runtime && i > 0 {
				continue
			}
			for _, errno := range errnos {
				if name[:6] == "binary" && s.Call.Nr == unix.SYS_KILL { // a request that may not be fulfilled is the owner's to see
					continue
				}
				cases = append(cases, attempt{name, &fault{s.Call, nth, errno}, s.Runtime})
			}
		}
	}
	return cases
}

// selection are the cases that were wrong once, and the others in a random order.
func selection(t *testing.T, cases []attempt) (always, others []attempt) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	for _, a := range cases {
		switch {
		case a.Runtime:
		case slices.ContainsFunc(regressions, func(r regression) bool { return r.is(a) }):
			always = append(always, a)
		default:
			others = append(others, a)
		}
	}
	r := rand.New(rand.NewPCG(*seed, 0))
	r.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	t.Logf("-seed=%d: %d cases, and %d that were wrong once", *seed, len(others), len(always))
	return always, others
}
