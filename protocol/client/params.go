package client

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/seed-c1490a04/supervise/protocol"
	"golang.org/x/sys/unix"
)

// params puts a command into the words of the protocol.
func (c *Cmd) params() (*protocol.SpawnParams, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("supervise: no command")
	}
	env, err := environment(c.Env)
	if err != nil {
		return nil, err
	}
	p := &protocol.SpawnParams{
		Argv: c.Args, Cwd: protocol.Text(c.Dir), Env: env,
		Name: protocol.Text(c.Name), Tags: c.Tags,
		Limits: limits(c.Limits), BestEffort: c.BestEffort, Delegate: c.Delegate,
		Timeout: timeout(c.Timeout), CPUTimeout: timeout(c.CPUTimeout), Grace: grace(c.Grace),
		Signal: signalName(c.StopSignal), Leftovers: c.Leftovers,
		Notify: c.Notify, Pressure: c.Pressure, Sample: c.Sample.Seconds(),
	}
	if c.Path != c.Args[0] {
		p.Path = protocol.Text(c.Path)
	}
	if len(c.PipeTo) > 0 {
		if err := c.pipeline(p); err != nil {
			return nil, err
		}
	}
	return p, textual(p.Tags)
}

// pipeline makes the first command of a pipeline of what was the only one.
func (c *Cmd) pipeline(p *protocol.SpawnParams) error {
	p.Pipeline = []protocol.Command{{Argv: p.Argv, Path: p.Path}}
	p.Argv, p.Path = nil, ""
	for _, next := range c.PipeTo {
		if field := next.beyondPipeline(); field != "" {
			return fmt.Errorf("supervise: %s of a command in PipeTo: it is for the first", field)
		}
		if len(next.Args) == 0 {
			return errors.New("supervise: no command")
		}
		env, err := environment(next.Env)
		if err != nil {
			return err
		}
		one := protocol.Command{Argv: next.Args, Cwd: protocol.Text(next.Dir), Env: env}
		if next.Path != next.Args[0] {
			one.Path = protocol.Text(next.Path)
		}
		p.Pipeline = append(p.Pipeline, one)
	}
	return nil
}

// beyondPipeline names a field that is set, and that a command in PipeTo does not have.
func (c *Cmd) beyondPipeline() string {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Cmd]()) {
		has := slices.Contains([]string{"Path", "Args", "Env", "Dir"}, f.Name)
		if f.IsExported() && !has && !reflect.ValueOf(c).Elem().FieldByIndex(f.Index).IsZero() {
			return f.Name
		}
	}
	return ""
}

// environment makes a map of a list. nil stays nil, which is the supervisor's.
func environment(list []string) (map[string]string, error) {
	if list == nil {
		return nil, nil
	}
	env := make(map[string]string, len(list))
	for _, pair := range list {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("supervise: in the environment %q has no =", pair)
		}
		env[key] = value
	}
	return env, nil
}

// textual refuses what JSON cannot say: encoding/json would change it without a word.
func textual(tags map[string]string) error {
	for key, value := range tags {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return fmt.Errorf("supervise: the tag %q=%q is not UTF-8", key, value)
		}
	}
	return nil
}

func limits(m map[string]string) map[string]protocol.LimitValue {
	values := make(map[string]protocol.LimitValue, len(m))
	for name, v := range m {
		values[name] = protocol.LimitValue(v)
	}
	return values
}

// timeout is in seconds. A time that is over is the shortest there is; what is longer than
// a supervisor takes, 100 years, is as good as none.
func timeout(d time.Duration) float64 {
	switch {
	case d < 0:
		return time.Nanosecond.Seconds()
	case d > 100*365*24*time.Hour:
		return 0
	}
	return d.Seconds()
}

// grace is nil for the protocol's own default.
func grace(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	return new(max(0, d.Seconds()))
}

// signalName is empty for nil, a number for a signal without a name.
func signalName(s os.Signal) string {
	if s == nil {
		return ""
	}
	n, ok := s.(syscall.Signal)
	if !ok {
		return s.String()
	}
	if name := unix.SignalName(n); name != "" {
		return name
	}
	return strconv.Itoa(int(n))
}
