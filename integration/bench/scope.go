package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// scope measures what systemd costs: a new scope beside systemd-run's, and the least that can be done to get one; then, in a delegated unit and in a job, finding the
// place by ourselves beside being told it, which needs no look at systemd at all.
func (b *bench) scope() error {
	if err := exec.Command("systemctl", "--user", "show-environment").Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: no systemd user manager: left out; integration/bed --user has one")
		return nil
	}
	const reference = "systemd-run --user --scope -q true"
	list, err := b.copies([]contender{
		{name: reference, argv: []string{"systemd-run", "--user", "--scope", "-q", "true"}},
		{argv: []string{b.supervise, "run", "--contain=cgroup", "--", "true"}},
		{argv: []string{b.yardstick("scope"), "/bin/true"}},
		{argv: []string{b.yardstick("least"), "/bin/true"}},
	})
	if err != nil {
		return err
	}
	times, err := b.interleave(list)
	if err != nil {
		return err
	}
	b.addScope(reference, times[0], nil)
	b.addScope("supervise run, in a new scope", times[1], times[0])
	b.addScope("the least Go program that asks for one, and makes three cgroups there", times[2], times[0])
	b.addScope(least, times[3], times[0])
	inside := helperCommand(b.self, "inside", b.supervise, strconv.Itoa(b.n))
	for name, argv := range map[string][]string{
		"in a delegated unit": append([]string{"systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes"}, inside...),
		"nested":              append([]string{b.supervise, "run", "--"}, inside...),
	} {
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		var pair [2][]float64
		if err == nil {
			err = json.Unmarshal(out, &pair)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.addScope("supervise run --cgroup PATH, "+name, pair[0], nil)
		b.addScope("supervise run, "+name, pair[1], pair[0])
	}
	return nil
}

func (b *bench) addScope(program string, times, base []float64) {
	r := row{Measure: "start to exit under systemd", Program: program, Median: median(times), Unit: "ms", Rounds: b.n}
	if base != nil {
		r = r.against("its reference", base, times)
	}
	b.add(r)
}

// insideHelper takes both times where it is: beside the main leaf of a job, or in a unit, of which it leaves the root.
func insideHelper(args []string) error {
	place, err := ownCgroup()
	if err != nil {
		return err
	}
	if filepath.Base(place) == "main" {
		place = filepath.Dir(place)
	} else {
		leaf := filepath.Join(place, "bench")
		if err := os.Mkdir(leaf, 0o755); err != nil {
			return err
		}
		if err := enter(leaf); err != nil {
			return err
		}
	}
	told := filepath.Join(place, "told")
	if err := os.Mkdir(told, 0o755); err != nil {
		return err
	}
	defer os.Remove(told)
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	b := &bench{settings: settings{n: n}}
	times, err := b.interleave([]contender{
		{argv: []string{args[0], "run", "--cgroup", told, "--", "/bin/true"}},
		{argv: []string{args[0], "run", "--contain=cgroup", "--", "/bin/true"}},
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(times)
}
