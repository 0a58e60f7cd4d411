package serve

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A command is what a job executes, or one of what it does: see pipeline.
type command struct {
	where string // it stands in the parameters: "", or "pipeline[1]."
	argv  []string
	path  string // "": argv[0] is looked up
	dir   string // "": the server's
	env   []string
	file  string // the program, once it is found
}

// check checks the command and finds its file. execve(2) takes strings that end with a NUL,
// so text with one in it would be cut without a word. The PATH that is searched is the job's,
// as the owner expects of env; the file is found here, as seen from cwd, because a failure is
// to be told before a cgroup is made.
func (c *command) check() error {
	if len(c.argv) == 0 {
		return c.failure("argv", "want a command")
	}
	for i, text := range c.argv {
		if strings.ContainsRune(text, 0) {
			return c.failure(fmt.Sprintf("argv[%d]", i), "it holds a NUL byte")
		}
	}
	for field, text := range map[string]string{"path": c.path, "cwd": c.dir} {
		if strings.ContainsRune(text, 0) {
			return c.failure(field, "it holds a NUL byte")
		}
	}
	size := 0
	for _, v := range c.env {
		if strings.ContainsRune(v, 0) {
			return c.failure("env", "it holds a NUL byte")
		}
		size += len(v)
	}
	for _, argument := range c.argv {
		size += len(argument)
	}
	if size > mostOfExec {
		return c.startError(unix.E2BIG)
	}
	return c.find()
}

// mostOfExec is more than execve(2) takes of arguments and environment together: three
// quarters of 8 MiB, however large the stack may be (_STK_LIM, fs/exec.c).
const mostOfExec = 6 << 20

// failure is an error of a parameter.
func (c *command) failure(field, what string) error {
	return failure(protocol.CodeInvalidParams, c.where+field, "%s: %s", c.where+field, what)
}

// find finds the file of the program.
func (c *command) find() (err error) {
	if c.file = c.path; c.file != "" {
		return nil
	}
	// Of several PATHs the last one counts, as env_update is behind the rest.
	search := program.DefaultPath
	for _, v := range c.env {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			search = value
		}
	}
	if c.file, err = program.LookPathIn(c.argv[0], search, c.dir); err != nil {
		return c.startError(err)
	}
	return nil
}

// startError gives an error of finding or executing the program its code, -32005 or -32006.
// All others, such as a lack of processes, are left to errorOf. chdir fails in the same child
// as execve, so a cwd that cannot be entered is found out by a second look.
func (c *command) startError(err error) error {
	code := protocol.CodeNotExecutable
	var errno syscall.Errno
	switch {
	case program.IsNotFound(err):
		code = protocol.CodeNotFound
	case !program.IsNotExecutable(err):
		return program.Starting(c.argv[0], err)
	}
	field := "argv"
	if c.path != "" {
		field = "path"
	}
	// The error does not tell which of the two calls of the child has failed.
	if c.dir != "" && unix.Access(c.dir, unix.X_OK) != nil {
		field = "cwd"
	}
	errors.As(err, &errno)
	shown := cmp.Or(map[string]string{"cwd": c.dir, "path": c.path}[field], c.argv[0])
	e := failure(code, c.where+field, "%s: %v", shown, err)
	e.Data.Errno = unix.ErrnoName(errno)
	return e
}

// checkNames refuses names with "=", which would set another variable than they say, and
// empty ones.
func checkNames[V any](field string, vars map[string]V) error {
	for name := range vars {
		if name == "" || strings.ContainsRune(name, '=') {
			return failure(protocol.CodeInvalidParams, field, "%s: %q is no name of a variable", field, name)
		}
	}
	return nil
}

// environment is all of env, or the one that is inherited without it, with env_update
// applied.
func environment(inherited []string, all map[string]string, updates map[string]*string) []string {
	if all == nil {
		return update(inherited, updates)
	}
	env := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return update(env, updates)
}

// update changes variables of an environment; a null value removes one.
func update(env []string, updates map[string]*string) []string {
	if len(updates) == 0 {
		return env
	}
	changed := slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, changed := updates[name]
		return changed
	})
	for _, name := range slices.Sorted(maps.Keys(updates)) {
		if value := updates[name]; value != nil {
			changed = append(changed, name+"="+*value)
		}
	}
	return changed
}

// commands reads what the job executes: the one command, or those of the pipeline. Of the
// parameters that each of these does not give those of the job count.
func (p *plan) readCommands() error {
	if err := errors.Join(checkNames("env", p.SpawnParams.Env), checkNames("env_update", p.EnvUpdate)); err != nil {
		return err
	}
	p.env = environment(os.Environ(), p.SpawnParams.Env, p.EnvUpdate)
	switch n := len(p.Pipeline); {
	case n == 0:
		p.commands = []*command{{argv: p.Argv, path: string(p.Path), dir: p.dir, env: p.env}}
	case n > protocol.MaxCommands:
		return failure(protocol.CodeInvalidParams, "pipeline", "pipeline: at most %d commands", protocol.MaxCommands)
	case len(p.Argv) > 0 || p.Path != "":
		return failure(protocol.CodeInvalidParams, "pipeline", "pipeline: want it, or argv, not both")
	}
	for i, one := range p.Pipeline {
		c := &command{where: fmt.Sprintf("pipeline[%d].", i), argv: one.Argv, path: string(one.Path), dir: p.dir}
		if err := errors.Join(checkNames(c.where+"env", one.Env), checkNames(c.where+"env_update", one.EnvUpdate)); err != nil {
			return err
		}
		if one.Cwd != "" {
			c.dir = program.Below(p.dir, string(one.Cwd))
		}
		c.env = environment(p.env, one.Env, one.EnvUpdate)
		p.commands = append(p.commands, c)
	}
	for _, c := range p.commands {
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}
