package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// crowdRounds bounds the rounds of a measure that takes half a minute each.
const crowdRounds = 3

// A crowd is many sleeping jobs of one server at once: what they cost while they sleep, and to end.
type crowd struct {
	b        *bench
	sleep    []string
	perJob   []float64 // KB
	switches []float64
	hangUp   []float64 // ms
	shutdown []float64
	bare     []float64
	counted  []float64 // bare, with counters
}

func (b *bench) crowd() error {
	if !b.ground.usable() {
		fmt.Fprintln(os.Stderr, "bench: many jobs need a writable cgroup2: left out")
		return nil
	}
	c := &crowd{b: b, sleep: sleepCommand()}
	rounds := min(b.rounds, crowdRounds)
	for round := range rounds {
		for _, take := range []func() error{
			func() error { return c.guarded(round == 0, &c.hangUp, c.endByHangUp) },
			func() error { return c.unguarded("bare", &c.bare) },
			func() error { return c.unguarded("counted", &c.counted) },
			func() error { return c.guarded(false, &c.shutdown, c.endByShutdown) },
		} {
			if err := take(); err != nil {
				return err
			}
		}
	}
	name := fmt.Sprintf("%d sleeping jobs", b.jobs)
	b.add(row{
		Measure: name, Program: "memory of supervisor and guardian (PSS) for each", Median: median(c.perJob), Unit: "KB", Rounds: 2 * rounds,
		Target: medianAtMost(4),
	})
	b.add(row{
		Measure: name, Program: fmt.Sprintf("context switches of both in %v", b.idle), Median: median(c.switches), Rounds: 1, Target: medianAtMost(0),
	})
	name = "ending " + name
	b.add(row{Measure: name, Program: "one write to cgroup.kill, reap, rmdir", Median: median(c.bare), Unit: "ms", Rounds: rounds})
	b.add(row{Measure: name, Program: "the same, and the counters of each read before", Median: median(c.counted), Unit: "ms", Rounds: rounds}.against("bare", c.bare, nil))
	for program, times := range map[string][]float64{"end of input": c.hangUp, "shutdown": c.shutdown} {
		b.add(row{
			Measure: name, Program: "supervise serve: " + program, Median: median(times), Unit: "ms", Rounds: rounds, Target: atMost(1.5),
		}.against("bare", c.bare, nil))
	}
	return nil
}

// sleepCommand is the smallest sleeper that there is.
func sleepCommand() []string {
	if path, err := exec.LookPath("busybox"); err == nil {
		return []string{path, "sleep", "100000"}
	}
	return []string{"/bin/sleep", "100000"}
}

// guarded has a server take the crowd in, and end it.
func (c *crowd) guarded(idle bool, times *[]float64, end func(*served) error) error {
	v, err := c.b.serve()
	if err != nil {
		return err
	}
	if err := c.fill(v, idle); err != nil {
		return errors.Join(err, c.b.endServed(v))
	}
	begin := time.Now()
	if err := end(v); err != nil {
		return errors.Join(err, c.b.endServed(v))
	}
	told := v.rest(c.b.jobs)
	_, err = wait(v.pid)
	*times = append(*times, milliseconds(time.Since(begin)))
	v.stuck.Stop()
	v.close()
	return errors.Join(told, err, c.b.ground.clear(v.dir))
}

// fill starts the jobs and looks at what they cost asleep.
func (c *crowd) fill(v *served, idle bool) error {
	if err := v.spawnAll(1, 1, spawnParams("/bin/true"), `"method":"ended"`); err != nil {
		return err
	}
	clear(v.ended)
	<-time.After(settle)
	pids, err := c.b.supervisors(v.specimen)
	if err != nil {
		return err
	}
	before := pss(pids)
	if err := v.spawnAll(c.b.jobs, inFlight, spawnParams(c.sleep...), `"method":"started"`); err != nil {
		return err
	}
	<-time.After(settle)
	c.perJob = append(c.perJob, float64(pss(pids)-before)/float64(c.b.jobs))
	if idle {
		was := switches(pids)
		<-time.After(c.b.idle)
		c.switches = append(c.switches, float64(switches(pids)-was))
	}
	return nil
}

func (c *crowd) endByHangUp(v *served) error {
	return unix.Shutdown(int(v.end.Fd()), unix.SHUT_WR)
}

func (c *crowd) endByShutdown(v *served) error { return v.ask("shutdown", `{}`) }

// unguarded has a helper do the least that must be done; kind is an argument of it.
func (c *crowd) unguarded(kind string, times *[]float64) error {
	s, err := c.b.spawnReady(helperCommand(c.b.self, append([]string{"bare-crowd", strconv.Itoa(c.b.jobs), kind}, c.sleep...)...))
	if err != nil {
		return err
	}
	took, err := c.b.finishTimed(s)
	*times = append(*times, milliseconds(took))
	return err
}

// bareCrowdHelper starts the same processes in a tree of the same shape, and ends it when its input ends. Of the kind
// "counted" it reads the counters that a record has.
func bareCrowdHelper(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	top, err := makeCgroup()
	if err != nil {
		return err
	}
	var dirs []string
	for i := range n {
		dir := filepath.Join(top.Name(), strconv.Itoa(i))
		if err := startAlone(filepath.Join(dir, "main"), args[2:]); err != nil {
			return err
		}
		dirs = append(dirs, dir)
	}
	if err := readyThenEOF(); err != nil {
		return err
	}
	end := removeLeaf
	if args[1] == "counted" {
		end = readAndRemove
	}
	return killAndReap(top.Name(), end, dirs...)
}

// removeLeaf removes the cgroup of a job, and its leaf.
func removeLeaf(dir string) error {
	return errors.Join(syscall.Rmdir(filepath.Join(dir, "main")), syscall.Rmdir(dir))
}

// startAlone starts a program in a cgroup of its own.
func startAlone(dir string, argv []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cgroup, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer cgroup.Close()
	sys := into(cgroup)
	sys.Setsid = true
	_, err = syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Sys: sys})
	return err
}
