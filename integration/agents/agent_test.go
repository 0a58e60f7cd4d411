package agents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience is how long anything may take on a busy machine.
const patience = 2 * time.Minute

// An agent is an example that runs.
type agent struct {
	*testing.T
	cmd     *exec.Cmd
	in      io.Writer
	answers *json.Decoder
	// tag is in the environment of all that it starts, and an argument of sleep that no other test has.
	tag string
	// own is how many processes it has when no command runs.
	own int
	// program is supervise, a copy that no other test executes.
	program string
}

// An answer is that of a tool.
type answer struct {
	ID      int
	Text    string
	Next    int
	Lost    int
	Running bool
	Taken   bool
	How     string
	Ended   map[string]string
	Error   string
}

// start starts an example with supervise in one containment.
func start(t *testing.T, language, contain string) *agent {
	t.Helper()
	a := &agent{T: t, tag: fmt.Sprintf("98763.%d", os.Getpid())}
	dir := t.TempDir()
	a.program = filepath.Join(dir, "program")
	program, err := os.ReadFile(filepath.Join(bin, "supervise"))
	if err == nil {
		err = os.WriteFile(a.program, program, 0o755)
	}
	script := fmt.Sprintf("#!/bin/sh\ncommand=$1\nshift\nexec %s $command --contain=%s \"$@\"\n", a.program, contain)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "supervise"), []byte(script), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.cmd = example(t, dir, language)
	a.cmd.Env = append(a.cmd.Env, "PATH="+dir+":"+os.Getenv("PATH"), "SUPERVISE_BIN=", "AGENT_TAG="+a.tag)
	a.cmd.Stderr = os.Stderr
	in, out := testbed.StartPiped(t, a.cmd)
	a.in, a.answers = in, json.NewDecoder(out)
	deadline := time.AfterFunc(2*patience, func() { a.cmd.Process.Kill() })
	t.Cleanup(func() { deadline.Stop() })
	a.command("echo ready; exec sleep TAG", false) // by now the supervisor has begun
	a.call("end_turn", nil)
	a.own = len(a.descendants())
	return a
}

// example is the command of one, with the package that it imports.
func example(t *testing.T, dir, language string) *exec.Cmd {
	t.Helper()
	var cmd *exec.Cmd
	if language == "node" {
		modules := filepath.Join(dir, "node_modules") // a module is looked for in those of the directories above
		sources, err := filepath.Abs(testbed.Source("contrib", "node"))
		if err == nil {
			err = os.Mkdir(modules, 0o755)
		}
		if err == nil {
			err = os.Symlink(sources, filepath.Join(modules, "supervise-api"))
		}
		text, read := os.ReadFile(testbed.Source("contrib", "node", "examples", "agent.mjs"))
		if err == nil && read == nil {
			err = os.WriteFile(filepath.Join(dir, "agent.mjs"), text, 0o644)
		}
		if err != nil || read != nil {
			t.Fatal(err, read)
		}
		cmd = exec.Command(testbed.Program(t, "node"), filepath.Join(dir, "agent.mjs"))
		cmd.Env = append(os.Environ(), "NODE_OPTIONS=--max-semi-space-size=2") // V8 takes up to 48 MB for what is new, before it looks for garbage
	} else {
		cmd = exec.Command(testbed.Program(t, "python3"), testbed.Source("contrib", "python", "examples", "agent.py"))
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+testbed.Source("contrib", "python"))
	}
	return cmd
}

// call asks for a tool.
func (a *agent) call(tool string, arguments map[string]any) answer {
	a.Helper()
	request := map[string]any{"tool": tool}
	for name, value := range arguments {
		request[name] = value
	}
	line, err := json.Marshal(request)
	if err != nil {
		a.Fatal(err)
	}
	return a.line(string(line))
}

// line writes a line, and returns the answer.
func (a *agent) line(text string) (got answer) {
	a.Helper()
	_, err := io.WriteString(a.in, text+"\n")
	if err == nil {
		err = a.answers.Decode(&got)
	}
	if err != nil {
		a.Fatalf("%.200s: %v", text, err)
	}
	return got
}

// command starts one, and waits until it says that it is ready. Number 0: it has killed its supervisor before that was told.
func (a *agent) command(text string, kills bool) int {
	a.Helper()
	got := a.call("start", map[string]any{"command": strings.ReplaceAll(text, "TAG", a.tag)})
	if got.Error != "" && !kills {
		a.Fatalf("starting %s: %s", text, got.Error)
	}
	if got.Error == "" {
		a.wait(got.ID, "ready\n", kills)
	}
	return got.ID
}

// wait looks at a command until it has written something, or so much that it is not kept any more. One that kills its supervisor
// may have ended before.
func (a *agent) wait(id int, text string, kills bool) {
	a.Helper()
	var seen strings.Builder
	for offset := 0; ; {
		got := a.call("look", map[string]any{"id": id, "offset": offset, "wait": 5})
		seen.WriteString(got.Text)
		switch {
		case strings.Contains(seen.String(), text), got.Lost > 0, kills && !got.Running:
			return
		case !got.Running:
			a.Fatalf("command %d has ended with %q: %s", id, seen.String(), got.Error)
		}
		offset = got.Next
	}
}

// descendants are all processes below the example.
func (a *agent) descendants() []int {
	found := testbed.Children(a.cmd.Process.Pid)
	for i := 0; i < len(found); i++ {
		found = append(found, testbed.Children(found[i])...)
	}
	return found
}

// left are processes of commands that are alive.
func (a *agent) left() error {
	below := a.descendants()
	if len(below) != a.own {
		return fmt.Errorf("%d processes below the agent, want %d", len(below), a.own)
	}
	below = append(below, a.cmd.Process.Pid)
	files, _ := filepath.Glob("/proc/[0-9]*")
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(file))
		if err != nil || slices.Contains(below, pid) {
			continue
		}
		if exe, err := os.Readlink(filepath.Join(file, "exe")); err == nil && exe == a.program {
			return fmt.Errorf("process %d is a supervise, or a guardian", pid)
		}
		for _, name := range []string{"environ", "cmdline"} {
			if text, err := os.ReadFile(filepath.Join(file, name)); err == nil && bytes.Contains(text, []byte(a.tag)) {
				return fmt.Errorf("process %d has %s", pid, text)
			}
		}
	}
	return nil
}

// memory is what the example and its supervisor have in memory, in bytes.
func (a *agent) memory() (size int) {
	a.Helper()
	for _, pid := range append(a.descendants(), a.cmd.Process.Pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		var all, resident, shared int
		if err == nil {
			_, err = fmt.Sscan(string(text), &all, &resident, &shared)
		}
		if err != nil {
			a.Fatal(err)
		}
		size += (resident - shared) * unix.Getpagesize()
	}
	return size
}
