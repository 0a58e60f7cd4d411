package faults

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// A scenario is one way to run supervise, of which each call is failed.
type scenario struct {
	name     string
	cgroup   bool // the containment; else the fallback
	flags    []string
	script   string
	status   int // of supervise, if nothing fails; that of the signal is negative
	cause    string
	left     int // processes that outlive the main process
	children [][]string
	noFlag   bool // the fallback is had by making cgroups read-only
	drive    func(r *rig) error
}

// sleeper ends only when it is told to.
const sleeper = "sleep 100000"

const (
	leaks    = sleeper + " & exit 7"
	stubborn = "trap '' TERM; " + sleeper + " & while :; do wait; done"
	hangs    = "echo ready; " + sleeper + " & exec " + sleeper
)

var scenarios = slices.Concat(both(scenario{name: "run", script: leaks, status: 7, cause: "exited", left: 1}),
	both(scenario{
		name: "timeout", script: stubborn, status: 124, cause: "timeout",
		flags: []string{"--timeout=0.05s", "--grace=0.05s"},
	}),
	both(scenario{name: "killed", script: hangs, status: -int(unix.SIGKILL), drive: (*rig).shoot}),
	both(scenario{name: "serve", status: 0, drive: (*rig).own}),
	both(scenario{
		name: "binary", status: 0, drive: (*rig).hearEvents, noFlag: true,
		children: [][]string{{"/bin/sh", "-c", sleeper + " & exit 5"}, {"/bin/sleep", "100000"}},
	}),
	both(scenario{
		name: "binary-killed", status: -int(unix.SIGKILL), drive: (*rig).shootBinary, noFlag: true,
		children: [][]string{{"/bin/sh", "-c", sleeper + " & exit 5"}, {"/bin/sleep", "100000"}},
	}),
)

func both(s scenario) []scenario {
	in, out := s, s
	in.cgroup = true
	in.name, out.name = s.name+"/cgroup", s.name+"/subreaper"
	return []scenario{in, out}
}

func (s *scenario) containment() string {
	if s.cgroup {
		return "cgroup"
	}
	return "subreaper"
}

// argv is the command line of supervise.
func (s *scenario) argv(exe, record string) []string {
	contain := "--contain=" + s.containment()
	switch {
	case s.noFlag:
		return []string{exe}
	case s.script == "":
		return []string{exe, "serve", contain}
	}
	argv := append([]string{exe, "run", contain, "--record=" + record}, s.flags...)
	if s.cgroup {
		argv = append(argv, "--sample=0.02s", "--samples=samples")
	}
	return append(argv, "--", "sh", "-c", s.script)
}

// shoot kills supervise as soon as its job runs.
func (r *rig) shoot() error {
	if line, _ := bufio.NewReader(r.out).ReadString('\n'); line == "ready\n" {
		r.shot = true
		return r.cmd.Process.Kill()
	}
	return nil
}

// own is the owner of a server: two jobs, one of which ends by itself, and one which is told to.
func (r *rig) own() error {
	o := &owner{rig: r, lines: bufio.NewReader(r.out)}
	err := o.talk()
	r.cut = errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE)
	r.in.Close()
	for err == nil {
		_, err = o.next()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) { // a server that fails says so by its status
		return nil
	}
	return err
}

// An owner speaks the protocol of serve.
type owner struct {
	rig   *rig
	lines *bufio.Reader
	ids   int
	ended map[int]map[string]any // the records
	steps map[int][]string       // what was told of each job
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Error  json.RawMessage `json:"error"`
	Result struct {
		Job int `json:"job"`
	} `json:"result"`
	Params struct {
		Job    int            `json:"job"`
		Record map[string]any `json:"record"`
		Main   bool           `json:"main"`
	} `json:"params"`
}

func (o *owner) talk() error {
	o.ended, o.steps = map[int]map[string]any{}, map[int][]string{}
	if _, err := o.call("hello", `{"versions":[1]}`); err != nil {
		return err
	}
	for _, stop := range []bool{false, true} {
		script := leaks
		if stop {
			script = "exec " + sleeper
		}
		answer, err := o.call("spawn", fmt.Sprintf(`{"argv":["sh","-c",%q],"stdio":["null","capture"]}`, script))
		if err != nil {
			return err
		}
		if answer.Error != nil {
			o.rig.refused = true
			continue
		}
		if stop {
			answer, err := o.call("kill", fmt.Sprintf(`{"job":%d}`, answer.Result.Job))
			if err != nil {
				return err
			}
			o.rig.refused = o.rig.refused || answer.Error != nil
			if answer.Error != nil {
				continue // the end of the connection ends it
			}
		}
		if err := o.await(answer.Result.Job, stop); err != nil {
			return err
		}
	}
	return nil
}

// call asks and returns the answer; what is told meanwhile is noted.
func (o *owner) call(method, params string) (message, error) {
	o.ids++
	if _, err := fmt.Fprintf(o.rig.in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", o.ids, method, params); err != nil {
		return message{}, err
	}
	for {
		m, err := o.next()
		if err != nil || m.ID == o.ids {
			if m.Error != nil {
				o.rig.refused = true
			}
			return m, err
		}
	}
}

func (o *owner) next() (m message, err error) {
	line, err := o.lines.ReadBytes('\n')
	if err != nil {
		return m, err
	}
	o.rig.said = append(o.rig.said, string(line))
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("%q: %w", line, err)
	}
	p := m.Params
	switch {
	case m.Method == "ended":
		if o.ended[p.Job] != nil {
			return m, fmt.Errorf("job %d has ended twice", p.Job)
		}
		o.ended[p.Job] = p.Record
		o.steps[p.Job] = append(o.steps[p.Job], m.Method)
	case m.Method == "started", m.Method == "exited" && p.Main:
		o.steps[p.Job] = append(o.steps[p.Job], m.Method)
	}
	return m, nil
}

// await waits for the end of a job and checks what was told of it.
func (o *owner) await(job int, stopped bool) error {
	for o.ended[job] == nil {
		if _, err := o.next(); err != nil {
			return err
		}
	}
	r := o.ended[job]
	if r["error"] != nil {
		o.rig.refused = true
	}
	if got := fmt.Sprint(o.steps[job]); got != "[started exited ended]" && r["error"] == nil {
		return fmt.Errorf("job %d: told %s", job, got)
	}
	want := wanted{code: 7, cause: "exited", left: 1, containment: o.rig.s.containment()}
	if stopped {
		want = wanted{signal: "SIGKILL", cause: "killed", containment: o.rig.s.containment()}
	}
	return want.check(r)
}

// hearEvents is the owner by the binary protocol, of two children and the orphan that one of them leaves.
func (r *rig) hearEvents() error {
	for range 2 {
		pid, code, status, err := r.event()
		switch {
		case errors.Is(err, io.EOF): // supervise has failed, and its status says so
			return nil
		case err != nil:
			return err
		case pid == r.pids[0] && code == 1 && status == 5:
			if err := r.request(r.pids[1], unix.SIGTERM); err != nil {
				return nil
			}
		case pid == r.pids[1] && code == 2 && status == int(unix.SIGTERM):
		default:
			return fmt.Errorf("event of %d: code %d, status %d", pid, code, status)
		}
	}
	r.in.Close()
	pid, code, status, err := r.event()
	if err == nil && (code != 2 || status != int(unix.SIGKILL) || slices.Contains(r.pids, pid)) {
		return fmt.Errorf("event of %d: code %d, status %d", pid, code, status)
	}
	return nil
}

// shootBinary kills supervise when it has told of a child.
func (r *rig) shootBinary() error {
	if _, _, _, err := r.event(); err != nil {
		return nil
	}
	r.shot = true
	return r.cmd.Process.Kill()
}

// event reads one siginfo_t.
func (r *rig) event() (pid, code, status int, err error) {
	var e [128]byte
	if _, err := io.ReadFull(r.out, e[:]); err != nil {
		return 0, 0, 0, err
	}
	at := func(offset int) int { return int(int32(binary.NativeEndian.Uint32(e[offset:]))) }
	return at(16), at(8), at(24), nil
}

func (r *rig) request(pid int, sig syscall.Signal) error {
	b := binary.NativeEndian.AppendUint32(nil, uint32(pid))
	_, err := r.in.Write(binary.NativeEndian.AppendUint32(b, uint32(sig)))
	return err
}

// readPids reads what the launcher prints: the children's pids.
func (r *rig) readPids() error {
	for range r.s.children {
		var line []byte
		for b := make([]byte, 1); b[0] != '\n'; line = append(line, b[0]) {
			if _, err := r.out.Read(b); err != nil {
				return fmt.Errorf("starting the children: %w", err)
			}
		}
		var pid int
		if _, err := fmt.Sscan(string(line), &pid); err != nil {
			return err
		}
		r.pids = append(r.pids, pid)
	}
	return nil
}
