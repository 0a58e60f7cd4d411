package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A tight is a limit around supervise that leaves it little, as judges set them.
type tight struct {
	ulimit string // of bash
	values func() []int
	uid    bool // the limit does not hold root: it is tested as another user
}

var tights = map[string]tight{
	"descriptors":   {"-n", func() []int { return through(3, 40) }, false},
	"address space": {"-v", func() []int { return slices.Concat(through(20, 29), by(100, 1500, 50)) }, false}, // MB
	"processes":     {"-u", func() []int { n := threadsOf(tightUID()); return through(n, n+24) }, true},
}

func through(first, last int) []int { return by(first, last, 1) }

func by(first, last, step int) (list []int) {
	for n := first; n <= last; n += step {
		list = append(list, n)
	}
	return list
}

// tightUID is the user of whose processes there is a limit.
func tightUID() int {
	if os.Geteuid() != 0 {
		return os.Geteuid()
	}
	return spareUID + 1000 // a user without processes
}

// threadsOf counts what RLIMIT_NPROC does.
func threadsOf(uid int) (n int) {
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/*")
	for _, task := range tasks {
		var st syscall.Stat_t
		if syscall.Stat(task, &st) == nil && int(st.Uid) == uid {
			n++
		}
	}
	return n
}

// A way is a command line of supervise's, with what it is to read, and the status that it has if all goes well.
type way struct {
	script string
	input  string
	status int
	cgroup bool
}

const spawnTrue = `{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}
{"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["true"]}}
`

var ways = map[string]way{
	"run, cgroup":     {"exec %s run --contain=cgroup -- sh -c 'exit 7'", "", 7, true},
	"run, subreaper":  {"exec %s run --contain=subreaper -- sh -c 'exit 7'", "", 7, false},
	"serve, cgroup":   {"exec %s serve --contain=cgroup", spawnTrue, 0, true},
	"serve,subreaper": {"exec %s serve --contain=subreaper", spawnTrue, 0, false},
	"binary":          {"exec %s", "", 0, false},
}

// TestTightLimits: where a limit around supervise leaves it too little, it says so in one line, and what to do, with 125. Else the
// job has its own status. Nothing is left in either case, by the binary protocol neither, where the children are there first.
func TestTightLimits(t *testing.T) {
	for name, l := range tights {
		t.Run(name, func(t *testing.T) {
			for what, w := range ways {
				t.Run(what, func(t *testing.T) {
					if w.cgroup {
						needCgroup(t)
					}
					if l.uid && w.cgroup && os.Geteuid() == 0 {
						return // the user has no cgroup: integration/as-user cgroup has one
					}
					l.sweep(t, w)
				})
			}
		})
	}
}

// sweep tries all values, and logs the table of what they come to.
func (l tight) sweep(t *testing.T, w way) {
	values := l.values()
	var table []string
	for i, n := range values {
		if testing.Short() && i%4 != 0 {
			continue
		}
		o := l.try(t, w, n)
		row := fmt.Sprint(o.code)
		if last := len(table) - 1; last < 0 || !strings.HasSuffix(table[last], ": "+row) {
			table = append(table, fmt.Sprintf("from %d: %s", n, row))
		}
		switch {
		case o.code == w.status && (o.stderr == "" || o.fellBack()):
		case o.code != 125:
			t.Errorf("ulimit %s %d: status %d, signal %v, stderr %q", l.ulimit, n, o.code, o.signal, o.stderr)
		case strings.Count(o.stderr, "\n") != 1 || !strings.HasPrefix(o.stderr, "supervise: ") || !strings.Contains(o.stderr, "supervise run -- prlimit --"):
			t.Errorf("ulimit %s %d: stderr %q", l.ulimit, n, o.stderr)
		}
		if t.Failed() {
			break
		}
	}
	t.Log(strings.Join(table, "; "))
}

// try runs supervise below the limit. The binary protocol gets a child that would stay.
func (l tight) try(t *testing.T, w way, n int) outcome {
	if l.ulimit == "-v" {
		n *= 1000
	}
	script := fmt.Sprintf("ulimit %s %d; "+w.script, l.ulimit, n, bin.supervise)
	if !strings.Contains(w.script, " run ") && !strings.Contains(w.script, " serve ") {
		script = "sleep 1000 & " + script
	}
	in := launch{argv: []string{"bash", "-c", script}}
	if l.uid && os.Geteuid() == 0 {
		in.attr.Credential = &syscall.Credential{Uid: uint32(tightUID()), Gid: uint32(tightUID())}
	}
	p := newBox(t).start(in)
	// A server that crashes in the middle of a start leaves the end of its jobs to their own supervises, as one that is killed does.
	p.killed.Store(strings.Contains(w.script, " serve "))
	p.stdin.WriteString(w.input)
	p.closeStdin()
	return p.wait()
}
