// Bench measures the supervise of this tree beside its peers, and prints medians and their ratios:
//
//	go run ./integration/bench
//
// Every measure is taken in interleaved rounds (A, B, A, B, ...) of one run, so that what else the machine does falls on
// all of them alike; only the ratios are worth comparing between machines. The numbers that the project promises stand
// beside the measured ones. Peers that are not installed are left out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const module = "github.com/seed-c1490a04/supervise"

// settings are the flags.
type settings struct {
	n      int           // rounds of the cheap measures
	rounds int           // rounds of the expensive ones
	procs  int           // sleeping processes to end
	jobs   int           // sleeping jobs of one server
	idle   time.Duration // window in which an idle supervisor must not wake
	only   string        // measures to take, comma separated; empty: all
	svg    string        // file for a picture of how costs grow
	json   string        // file for the results as JSON; "-": stdout instead of the table
	bin    string        // supervise to measure; empty: build it
}

// bench is what the measures share.
type bench struct {
	settings
	tmp       string  // what is built lies here
	built     string  // the program under test as go build has left it, or as it was given
	supervise string  // a copy of it, which is measured
	adversary string  // the fork bomb; empty where it was not built
	self      string  // this program, which is also its own helper
	ground    *ground // cgroups for what we start
	rows      []row
	curves    []*curve
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == helperArg {
		helperMain(os.Args[2:]) // does not return
	}
	var s settings
	flag.IntVar(&s.n, "n", 200, "rounds of starting a program")
	flag.IntVar(&s.rounds, "rounds", 7, "rounds of ending a tree of processes")
	flag.IntVar(&s.procs, "procs", 1000, "sleeping processes to end")
	flag.IntVar(&s.jobs, "jobs", 10000, "sleeping jobs of one server")
	flag.DurationVar(&s.idle, "idle", 20*time.Second, "how long to watch an idle supervisor")
	flag.StringVar(&s.only, "only", "", "take only these measures: start,memory,idle,end,bomb,scope,spawn,latency,crowd,growth; serve: spawn,latency,crowd")
	flag.StringVar(&s.svg, "svg", "", "draw how costs grow into this `file`")
	flag.StringVar(&s.json, "json", "", "write the results as JSON to this `file` too (-: only that, to stdout)")
	flag.StringVar(&s.bin, "bin", "", "measure this supervise instead of building one")
	flag.Parse()
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(s settings) (err error) {
	tmp, err := os.MkdirTemp("", "supervise-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // the fork bomb runs as another user
		return err
	}
	b := &bench{settings: s, tmp: tmp}
	if err := b.build(); err != nil {
		return err
	}
	if b.ground, err = newGround(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.ground.close()) }()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	go func() { // ends with the program
		<-interrupted
		b.ground.close()
		os.RemoveAll(tmp)
		os.Exit(130)
	}()
	if err := b.measure(); err != nil {
		return err
	}
	if s.svg != "" && len(b.curves) > 0 {
		if err := drawCurves(s.svg, b.curves); err != nil {
			return err
		}
	}
	return b.report()
}

// build makes the programs, and measures copies of them, as they are installed. A static binary is what the project ships.
func (b *bench) build() (err error) {
	built, copied := filepath.Join(b.tmp, "built"), filepath.Join(b.tmp, "copied")
	for _, dir := range []string{built, copied} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	beside := filepath.Dir(b.self)
	// The copy can be executed by every user, which the one in the cache of `go run` cannot.
	if b.self, err = copyFile(b.self, filepath.Join(copied, "bench")); err != nil {
		return err
	}
	if b.built = b.bin; b.bin == "" {
		b.built = filepath.Join(built, "supervise")
		if err := goBuild(built, "cmd/..."); err != nil {
			return err
		}
	} else if b.built, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	for _, name := range []string{"supervise", "supervise-scope", "supervise-oci"} {
		from := filepath.Join(filepath.Dir(b.built), name)
		if name == "supervise" {
			from = b.built
		}
		if _, err := copyFile(from, filepath.Join(copied, name)); err != nil && name == "supervise" {
			return err
		}
	}
	b.supervise = filepath.Join(copied, "supervise")
	if b.wanted("start") || b.wanted("growth") || b.wanted("scope") {
		if err := b.buildYardsticks(beside); err != nil {
			return err
		}
	}
	if b.wanted("bomb") {
		b.adversary = filepath.Join(built, "adversary")
		return goBuild(b.adversary, "integration/adversary")
	}
	return nil
}

// buildYardsticks makes what is compared with, if it is not in a directory already, and that of C where there is a compiler.
func (b *bench) buildYardsticks(there string) error {
	for _, name := range []string{"empty", "least", "cgroup", "scope"} {
		if _, err := copyFile(filepath.Join(there, name), b.yardstick(name)); err == nil {
			continue
		}
		if err := goBuild(b.yardstick(name), "integration/bench/yardstick/"+name); err != nil {
			return err
		}
	}
	c := exec.Command("cc", "-O2", "-x", "c", "-o", b.yardstick("c"), "-")
	c.Stdin = strings.NewReader("int main(void) { return 0; }")
	c.Run()
	return nil
}

func goBuild(out, pkg string) error {
	c := exec.Command("go", "build", "-o", out, module+"/"+pkg)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("building %s: %w", pkg, err)
	}
	return nil
}

func copyFile(from, to string) (string, error) {
	data, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	return to, os.WriteFile(to, data, 0o755)
}

// wanted says whether a measure was asked for.
func (b *bench) wanted(name string) bool {
	if b.only == "" {
		return true
	}
	for _, w := range strings.Split(b.only, ",") {
		if w == name || w == "serve" && slices.Contains([]string{"spawn", "latency", "crowd"}, name) {
			return true
		}
	}
	return false
}

func (b *bench) measure() error {
	for _, m := range []struct {
		name string
		take func() error
	}{
		{"start", b.start},
		{"memory", b.memory},
		{"idle", b.idleSwitches},
		{"end", b.end},
		{"bomb", b.bomb},
		{"scope", b.scope},
		{"spawn", b.throughput},
		{"latency", b.latency},
		{"crowd", b.crowd},
		{"growth", b.growth},
	} {
		if !b.wanted(m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s ...\n", m.name)
		if err := m.take(); err != nil {
			return fmt.Errorf("measuring %s: %w", m.name, err)
		}
	}
	return nil
}
