package completions

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A question is a line of which the last word is to be completed.
type question struct {
	line string
	want []string // among what is offered
	not  []string // not among it
	own  bool     // it takes the completion of another command
}

// questions are the same for all shells. JOB stands for the id of a running job, and the command tool has completions of
// its own.
var questions = []question{
	{line: "supervise ", want: []string{"run", "serve", "list", "limit", "help"}, not: []string{"JOB", "job.json"}},
	{line: "supervise li", want: []string{"list", "limit"}, not: []string{"run"}},
	{line: "supervise help fr", want: []string{"freeze"}, not: []string{"run"}},

	{line: "supervise run --con", want: []string{"--contain"}, not: []string{"--cpus"}},
	{line: "supervise run --memory-max 1G --best-effort --grace=5 --cp", want: []string{"--cpus", "--cpu-timeout"}},
	{line: "supervise run --contain ", want: []string{"auto", "cgroup", "subreaper"}, not: []string{"job.json"}},
	{line: "supervise run --contain=su", want: []string{"subreaper"}, not: []string{"auto"}},
	{line: "supervise serve --contain c", want: []string{"cgroup"}},
	{line: "supervise serve --mem", not: []string{"--memory-max"}},
	{line: "supervise run --leftovers=", want: []string{"kill", "wait", "fail"}},
	{line: "supervise run --oom-group ", want: []string{"yes", "no"}},
	{line: "supervise run --scope ", want: []string{"new"}},
	{line: "supervise run --owner p", want: []string{"parent"}},
	{line: "supervise run --signal US", want: []string{"USR1", "USR2"}, not: []string{"TERM"}},
	{line: "supervise run -p Mem", want: []string{"MemoryMax", "MemoryHigh"}},
	{line: "supervise run --record jo", want: []string{"job.json"}},
	{line: "supervise run --record=jo", want: []string{"job.json"}},
	{line: "supervise run --pty=2"},
	{line: "supervise run -", want: []string{"-p", "-h", "--pty"}},
	{line: "supervise run --timeout ", not: []string{"job.json", "tool", "--contain"}},
	{line: "supervise run --marks fd:3 --summ", want: []string{"--summary"}},

	{line: "supervise list --", want: []string{"--json", "--all"}, not: []string{"--grace"}},
	{line: "supervise doctor --j", want: []string{"--json"}},
	{line: "supervise to", want: []string{"top"}},
	{line: "supervise top --ev", want: []string{"--every"}},
	{line: "supervise rep", want: []string{"report"}},
	{line: "supervise report --", want: []string{"--before", "--output", "--text", "--svg"}, not: []string{"--all"}},
	{line: "supervise report -o jo", want: []string{"job.json"}},
	{line: "supervise report jo", want: []string{"job.json"}},
	{line: "supervise report --text job.json jo", want: []string{"job.json"}},
	{line: "supervise metrics --o", want: []string{"--openmetrics", "--output"}},
	{line: "supervise metrics -o jo", want: []string{"job.json"}},
	{line: "supervise signal IN", want: []string{"INT"}},
	{line: "supervise signal --all IN", want: []string{"INT"}},
	{line: "supervise signal INT ", want: []string{"JOB"}, not: []string{"INT"}},
	{line: "supervise stat ", want: []string{"JOB"}},
	{line: "supervise kill --grace 5s ", want: []string{"JOB"}},
	{line: "supervise kill --gr", want: []string{"--grace"}},
	{line: "supervise kill JO", want: []string{"JOB"}},
	{line: "supervise freeze ", want: []string{"JOB"}},
	{line: "supervise thaw ", want: []string{"JOB"}},
	{line: "supervise limit JOB --memory-m", want: []string{"--memory-max", "--memory-min"}, not: []string{"--timeout"}},
	{line: "supervise limit ", want: []string{"JOB"}},

	{line: "supervise run to", want: []string{"tool"}},
	{line: "supervise run --timeout 5 --summary to", want: []string{"tool"}},
	{line: "supervise run -- to", want: []string{"tool"}},
	{line: "supervise run tool --", not: []string{"--contain", "--help"}},
	{line: "supervise run tool ", want: []string{"first", "second"}, own: true},
	{line: "supervise run -- tool sec", want: []string{"second"}, not: []string{"first"}, own: true},
	{line: "supervise run --contain=auto --marks fd:3 -- tool --th", want: []string{"--third"}, own: true},
	{line: "supervise run --timeout 5 -p CPUWeight=5 tool --th", want: []string{"--third"}, not: []string{"--timeout"}, own: true},
	{line: "supervise run supervise run tool sec", want: []string{"second"}, own: true},
}

// put replaces JOB, and JO, its beginning, by the id of a job.
func put(text, id string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "JOB", id), "JO", id[:len(id)-1])
}

// ask holds what a shell offers against the questions.
func ask(t *testing.T, job string, own bool, complete func(line string) []string) {
	for _, q := range questions {
		if q.own && !own {
			continue
		}
		line := put(q.line, job)
		offered := complete(line)
		for i, word := range offered {
			offered[i] = strings.TrimSuffix(word, "=")
		}
		for _, word := range q.want {
			if !slices.Contains(offered, put(word, job)) {
				t.Errorf("%q: %q is not offered, but %.40q", line, put(word, job), offered)
			}
		}
		for _, word := range q.not {
			if slices.Contains(offered, put(word, job)) {
				t.Errorf("%q: %q is offered", line, put(word, job))
			}
		}
	}
}

// replaced is the part of a line that the words offered stand for: what is behind the last blank, or a = there.
func replaced(line string) string { return line[strings.LastIndexAny(line, " =")+1:] }

func TestBash(t *testing.T) {
	bash := testbed.Program(t, "bash")
	job := startJob(t)
	library := "/usr/share/bash-completion/bash_completion"
	t.Run("with bash-completion", func(t *testing.T) {
		_, err := os.Stat(library)
		testbed.Need(t, "bash-completion", err)
		ask(t, job, true, startBash(t, bash, "source "+library).complete)
	})
	t.Run("alone", func(t *testing.T) {
		ask(t, job, false, startBash(t, bash, "").complete)
	})
}

// startBash starts a bash that inserts all that it has to offer into the line, and tells that.
func startBash(t *testing.T, bash, first string) *bashShell {
	s := newShell(t)
	rc := s.write("bashrc", first+`
		source "$CONTRIB/supervise.bash"
		_tool() { COMPREPLY=($(compgen -W 'first second --third' -- "${COMP_WORDS[COMP_CWORD]}")); }
		complete -F _tool tool
		bind 'set bell-style none' 'set enable-bracketed-paste off'
		bind '"\C-o": insert-completions'
		tell() { printf '%s\n' "$READLINE_LINE" >"$ANSWERS"; READLINE_LINE= READLINE_POINT=0; }
		bind -x '"\C-t": tell'
		echo ready >"$ANSWERS"
	`)
	s.start(bash, "--noprofile", "--rcfile", rc, "-i")
	return &bashShell{s}
}

type bashShell struct{ *shell }

func (s *bashShell) complete(line string) []string {
	s.t.Helper()
	s.typeIn(line + "\x0f\x14")
	answer := s.answer()
	if answer == line {
		return nil
	}
	return strings.Fields(answer[len(line)-len(replaced(line)):])
}

func TestZsh(t *testing.T) {
	zsh := testbed.Program(t, "zsh")
	job := startJob(t)
	s := newShell(t)
	// Whatever is offered goes through compadd. With -A, -O and -D nothing is.
	s.write(".zshrc", `
		unsetopt beep auto_list auto_menu
		fpath=("$CONTRIB" $fpath)
		autoload -Uz compinit && compinit -u -D
		_tool() { compadd - first second --third }
		compdef _tool tool
		compadd() {
			if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
				local -a offered
				builtin compadd -A offered "$@"
				(( $#offered )) && print -rl -- $offered >"$ANSWERS"
			fi
			builtin compadd "$@"
		}
		tell() { zle complete-word; print -r -- "the end" >"$ANSWERS"; BUFFER= }
		zle -N tell
		bindkey '^T' tell
		print ready >"$ANSWERS"
	`)
	s.env = append(s.env, "ZDOTDIR="+s.dir)
	s.start(zsh, "-d", "-i")
	ask(t, job, true, func(line string) (offered []string) {
		t.Helper()
		s.typeIn(line + "\x14")
		for {
			word := s.answer()
			if word == "the end" {
				return offered
			}
			offered = append(offered, word)
		}
	})
}

func TestFish(t *testing.T) {
	fish := testbed.Program(t, "fish")
	job := startJob(t)
	s := newShell(t)
	ask(t, job, true, func(line string) (offered []string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "supervise"), "run", "--timeout", "1m", "--", fish, "--no-config", "-c", `
			source $CONTRIB/supervise.fish
			complete -c tool -f -a 'first second'
			complete -c tool -l third
			complete -C "$LINE"
		`)
		cmd.Dir, cmd.Env = s.dir, append(s.env, "LINE="+line)
		var complaints strings.Builder
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil || complaints.Len() > 0 {
			t.Fatalf("%s: %v\n%s", line, err, complaints.String())
		}
		for answer := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), "\t")
			offered = append(offered, strings.TrimPrefix(word, strings.TrimSuffix(line[strings.LastIndex(line, " ")+1:], replaced(line))))
		}
		return offered
	})
}

// startJob starts a job that runs until the end of the test, and returns its id.
func startJob(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("completed-%d", os.Getpid())
	cmd := exec.Command(filepath.Join(bin, "supervise"), "run", "--name", name, "--", "sh", "-c", "echo ready; read x")
	cmd.Stderr = os.Stderr
	_, out := testbed.StartPiped(t, cmd)
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatalf("the job: %v", err)
	}
	text, err := exec.Command(filepath.Join(bin, "supervise"), "list", "--json").Output()
	var list protocol.List
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	i := slices.IndexFunc(list.Jobs, func(j protocol.ListedJob) bool { return j.Name == name })
	if err != nil || i < 0 {
		t.Fatalf("no job %s in %s: %v", name, text, err)
	}
	return list.Jobs[i].ID
}
