package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// pipeline is a pipeline of two shell scripts, each as a job of its own.
func pipeline(prefix []string, first, second string) string {
	p := strings.Join(prefix, " ")
	return fmt.Sprintf("%s sh -c '%s' | %s sh -c '%s'\n", p, first, p, second)
}

// Two jobs in one pipeline read the terminal, one after the other, and are stopped and continued together.
func TestTerminalPipelineOfTwo(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys(pipeline(prefix, `echo $$; read x </dev/tty; echo first $x`, `read a; echo first $a; echo started $$; read b; echo $b; read x </dev/tty; echo second $x`))
		s.see("first ")
		first, _ := strconv.Atoi(strings.TrimSpace(s.see("\n")))
		second := s.seeStarted()
		s.stop(first)
		s.stopped(second)
		s.keys("fg\n")
		s.keys("one\n")
		s.see("first one")
		s.stop(second)
		s.keys("fg\n")
		s.keys("two\n")
		s.see("second two")
		s.see(prompt)
		s.leave()
	})
}

// Ctrl-C ends both.
func TestTerminalPipelineOfTwoInterrupted(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		p := strings.Join(prefix, " ")
		s.keys(p + " sh -c 'echo $$; exec sleep 10000' | " + p + " sh -c 'read a; echo started $a; cat'\n")
		pid := s.seeStarted()
		s.interrupt(pid)
		s.leave()
	})
}

// What reads the job's output reads the keyboard too, as a pager does.
func TestTerminalPager(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys(job(t, prefix) + ` | sh -c 'read a; echo $a; read k </dev/tty; echo key $k; cat'` + "\n")
		pid := s.seeStarted()
		s.wantForeground(pid)
		s.keys("one\n")
		s.see("key one")
		s.must(syscall.Kill(pid, syscall.SIGUSR1)) // the job's turn
		s.keys("two\n")
		s.see("line: two")
		s.interrupt(pid)
		s.leave()
	})
}

// Where nothing shows that there is another in the pipeline, the terminal is the job's, and all are stopped when the
// other reads. One fg brings all on, and from then on each gets the terminal when it reads.
func TestTerminalPagerUnseen(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		s := b.shell()
		s.command("mkfifo " + b.dir + "/go")
		s.keys(fmt.Sprintf(`%s >/dev/tty | sh -c 'read go <%s/go; echo going; read x </dev/tty; echo beside $x; cat'`+"\n",
			job(t, []string{bin.supervise, "run", c.flag(), "--"}), b.dir))
		pid := s.seeStarted()
		s.wantForeground(pid)
		s.must(os.WriteFile(b.dir+"/go", []byte("\n"), 0))
		s.see("Stopped")
		s.see(prompt)
		s.keys("fg\n")
		s.keys("one\n")
		s.see("beside one")
		s.must(syscall.Kill(pid, syscall.SIGUSR1))
		s.keys("two\n")
		s.see("line: two")
		s.keys(ctrlC)
		s.see(prompt)
		s.gone(pid)
		s.leave()
	})
}
