package agents

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

const (
	turns, fewer = 100, 40 // fewer in the fallback where tests are to be short
	// mayGrow is how much more memory the agent may have after all turns than after a fifth of them: what collectors of garbage
	// leave for later. The commands write some thousand times as much.
	mayGrow = 16 << 20
)

// A hostile command says ready, and is then to be ended. TAG is an argument of sleep, ADVERSARY the program.
type hostile struct {
	name, text string
	// then is what is done with it before the turn ends.
	then func(a *agent, id int)
}

var commands = []hostile{
	{"daemon", `setsid -f sleep TAG >/dev/null 2>&1 </dev/null; echo ready; sleep TAG`, nil},
	{"ends, and leaves a daemon", `setsid -f sleep TAG >/dev/null 2>&1 </dev/null; echo ready`, nil},
	{"double forks that ignore signals", `trap '' HUP INT QUIT TERM; (setsid sh -c 'sleep TAG & sleep TAG' &); echo ready; sleep TAG`, nil},
	{"closes its output", `echo ready; exec <&- >&- 2>&-; sleep TAG`, nil},
	{"floods its output", `echo ready; yes TAG`, lookAtFlood},
	{"floods its other output", `echo ready; cat /dev/zero >&2`, lookAtFlood},
	{"writes what is no text", `echo ready; head -c 200000 /dev/urandom; sleep TAG`, lookAtAll},
	{"stops itself", `sleep TAG & kill -STOP $!; echo ready; kill -STOP $$`, nil},
	{"reads", `echo ready; read line; echo "got $line"; exec cat`, typeInto},
	{"reads nothing", `echo ready; exec sleep TAG`, typeInto},
	{"has a variable less", `exec env -i sh -c 'echo ready; setsid -f sleep TAG; sleep TAG'`, nil},
	{"has subreapers", `exec ADVERSARY subreaper -count=3`, nil},
	{"has vforks", `exec ADVERSARY vfork -count=3`, nil},
	{"forks as fast as it can", `exec ADVERSARY busy -count=3`, nil},
}

// killer is the command that does what any process of the same user can.
const killer = "kills its parent"

// alone are those that run beside no other. The bomb has a user, and a limit, of its own; the two before it
// take a second to end.
var alone = []hostile{
	{killer, `echo ready; kill -9 $PPID; sleep TAG`, nil},
	{"starts more when it is told to end", `trap 'setsid -f sleep TAG >/dev/null 2>&1' TERM; echo ready; while :; do sleep TAG & wait; done`, stop},
	{"has processes without a first thread", `exec ADVERSARY headless -count=3`, nil},
	{"a fork bomb", `exec ADVERSARY bomb -count=40 -uid=61987`, nil}, // the last one, which an ordinary user cannot start
}

// lookAtFlood looks at what is kept of a lot.
func lookAtFlood(a *agent, id int) {
	first := a.call("look", map[string]any{"id": id})
	second := a.call("look", map[string]any{"id": id, "offset": first.Next, "wait": 5})
	if len(first.Text) > 8192 || first.Next == 0 || second.Next <= first.Next {
		a.Errorf("a flood: %d bytes up to %d, then up to %d", len(first.Text), first.Next, second.Next)
	}
}

func lookAtAll(a *agent, id int) {
	for offset := 0; offset < 200000; {
		offset = a.call("look", map[string]any{"id": id, "offset": offset, "wait": 5}).Next
	}
}

func stop(a *agent, id int) {
	if got := a.call("stop", map[string]any{"id": id}); got.How != "killed" {
		a.Errorf("stopped: %+v", got)
	}
}

func typeInto(a *agent, id int) {
	if got := a.call("input", map[string]any{"id": id, "text": "some\nmore\n"}); !got.Taken {
		a.Errorf("input: %+v", got)
	}
}

func TestTurns(t *testing.T) {
	for _, language := range []string{"python", "node"} {
		for _, contain := range []string{"cgroup", "subreaper"} {
			t.Run(language+"/"+contain, func(t *testing.T) {
				needContainment(t, contain)
				a := start(t, language, contain)
				before, most := 0, turns
				if contain == "subreaper" && testing.Short() {
					most = fewer
				}
				for turn := range most {
					a.turn(turn)
					if turn == most/5 {
						before = a.memory()
					}
				}
				after := a.memory()
				t.Logf("memory: %d KiB, then %d KiB", before>>10, after>>10)
				if after-before > mayGrow {
					t.Errorf("memory: %d, then %d", before, after)
				}
			})
		}
	}
}

func needContainment(t *testing.T, contain string) {
	t.Helper()
	err := exec.Command(filepath.Join(bin, "supervise"), "run", "--contain="+contain, "--", "true").Run()
	testbed.Need(t, contain, err)
}

// turn is one of the model's: some commands beside one another, or one alone, and the end of all.
func (a *agent) turn(turn int) {
	a.Helper()
	mine := []hostile{commands[turn%len(commands)], commands[(turn*5+1)%len(commands)], commands[(turn*11+2)%len(commands)]}
	if turn%10 == 9 {
		there := alone
		if os.Geteuid() != 0 {
			there = alone[:len(alone)-1]
		}
		mine = there[turn/10%len(there):][:1]
	}
	last := 0
	for _, h := range mine {
		last = a.command(strings.ReplaceAll(h.text, "ADVERSARY", filepath.Join(bin, "adversary")), h.name == killer)
		if h.then != nil {
			h.then(a, last)
		}
	}
	got := a.call("end_turn", nil)
	if len(mine) > 1 {
		if got.Error != "" {
			a.Fatalf("turn %d, %s: %s", turn, names(mine), got.Error)
		}
		if err := a.left(); err != nil {
			a.Fatalf("turn %d, %s: %v", turn, names(mine), err)
		}
		if a.call("look", map[string]any{"id": last}).Running {
			a.Errorf("turn %d, %s: the last command runs", turn, names(mine))
		}
		return
	}
	// Where a command has killed the supervisor, the guardian ends the commands, and the agent is not told when that is done.
	testbed.Eventually(a, patience, "the end of "+names(mine), a.left)
}

func names(list []hostile) string {
	var all []string
	for _, h := range list {
		all = append(all, h.name)
	}
	return strings.Join(all, ", ")
}

// TestNonsense: a model may write anything. Each line has an answer, an error here, and the agent goes on.
func TestNonsense(t *testing.T) {
	for _, language := range []string{"python", "node"} {
		t.Run(language, func(t *testing.T) {
			a := start(t, language, "auto")
			for _, line := range []string{
				"", "no JSON", "5", "null", "[]", "[1]", `{}`, `{"tool":[]}`, `{"tool":{"a":1}}`, `{"tool":"close"}`, `{"tool":"__init__"}`,
				`{"tool":"constructor"}`, `{"tool":"look"}`, `{"tool":"look","id":[]}`, `{"tool":"start"}`,
				`{"tool":"start","command":"true","timeout":"long"}`, `{"tool":"start","command":"\u0000"}`, `{"tool":"stop","id":"x"}`,
				strings.Repeat("[", 100000),
			} {
				if got := a.line(line); got.Error == "" {
					t.Errorf("%.60q is taken: %+v", line, got)
				}
			}
			id := a.command("echo ready; exec cat", false)
			if got := a.call("input", map[string]any{"id": id, "text": 5}); got.Error == "" {
				t.Errorf("a number is typed: %+v", got)
			}
			if got := a.call("end_turn", nil); got.Error != "" || len(got.Ended) != 1 {
				t.Errorf("the end of the turn: %+v", got)
			}
		})
	}
}
