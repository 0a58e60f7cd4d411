//go:build !portablesignals

package signals

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestEntry: the program has begun in entry_*.s.
func TestEntry(t *testing.T) {
	if entryRan != 1 {
		t.Error("the linker has taken the runtime's entry, and not ours")
	}
}

// TestIgnored: what was ignored at exec is told as held, and the children ignore it too.
func TestIgnored(t *testing.T) {
	p := start(t, "held", `trap "" HUP INT QUIT USR1 TERM; exec "$0"`)
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGTERM, unix.SIGUSR1} {
		p.kill(sig)
		p.want(fmt.Sprint(int(sig), " true"))
	}
	p.kill(unix.SIGUSR2)
	p.want("12 false")
	p.want("child: alive")
	p.end()
}

// TestBlocked: so is what was blocked, and children block it too.
func TestBlocked(t *testing.T) {
	p := start(t, "held", `exec env --block-signal=HUP,INT,QUIT,USR1,TERM "$0"`)
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGTERM, unix.SIGUSR1} {
		p.kill(sig)
		p.want(fmt.Sprint(int(sig), " true"))
	}
	p.kill(unix.SIGUSR2)
	p.want("12 false")
	p.want("child: alive")
	p.end()
}

func helpHeld(c *Caught) error {
	for range 4 {
		sig := next(c)
		fmt.Println(int(sig.Signal), sig.Held)
	}
	_, out, err := shell("kill -HUP $$; kill -QUIT $$; kill -USR1 $$; kill -TERM $$; echo alive")
	fmt.Println("child:", out)
	return err
}

// TestStarting: a signal that was held, and comes while a program is started that may run already,
// is not lost.
func TestStarting(t *testing.T) {
	for _, held := range []string{`trap "" HUP; exec "$0"`, `exec env --block-signal=HUP "$0"`} {
		p := start(t, "starting", held)
		p.want("1 true")
		p.end()
	}
}

func helpStarting(c *Caught) error {
	_, err := StartCatching(func(string, []string, *syscall.ProcAttr) (int, error) {
		return 0, unix.Kill(os.Getpid(), unix.SIGHUP)
	}, "", nil, nil)
	sig := next(c)
	fmt.Println(int(sig.Signal), sig.Held)
	return err
}

// TestIgnore: Ignore ignores, and Again catches.
func TestIgnore(t *testing.T) {
	p := start(t, "ignore")
	p.want("10")
	p.want("12")
	p.want("10")
	p.end()
}

func helpIgnore(c *Caught) error {
	raise(unix.SIGUSR1)
	fmt.Println(int(other(c)))
	err := Ignore(unix.SIGUSR1)
	raise(unix.SIGUSR1)
	raise(unix.SIGUSR2)
	fmt.Println(int(other(c)))
	err = errors.Join(err, Again(unix.SIGUSR1))
	raise(unix.SIGUSR1)
	fmt.Println(int(other(c)))
	return err
}

// TestDefault: a signal with its default action ends the process.
func TestDefault(t *testing.T) {
	list := []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM}
	if !viaRuntime {
		list = append(list, unix.SIGQUIT, unix.SIGUSR1, 34, 64)
	}
	for _, sig := range list {
		t.Run(strconv.Itoa(int(sig)), func(t *testing.T) {
			p := start(t, "default")
			fmt.Fprintln(p.in, int(sig))
			p.in.Close()
			var exit *exec.ExitError
			if err := p.Wait(); !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if status := exit.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
				t.Errorf("the helper ended with %v, want signal %d", exit, sig)
			}
		})
	}
}

func helpDefault(*Caught) error {
	var sig unix.Signal
	if _, err := fmt.Scanln(&sig); err != nil {
		return err
	}
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	err := Default(sig)
	raise(sig)
	return err
}

// TestStop: with its default action SIGTSTP stops the process; caught again it
// does not.
func TestStop(t *testing.T) {
	p := start(t, "stop")
	fmt.Fprintln(p.in, "stop")
	for {
		err := unix.Waitid(unix.P_PID, p.Process.Pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			break
		} else if err != unix.EINTR {
			t.Fatal(err)
		}
	}
	p.kill(unix.SIGCONT)
	p.want("18")
	fmt.Fprintln(p.in, "again")
	p.want("again")
	p.kill(unix.SIGTSTP)
	p.want("20")
	p.end()
}

func helpStop(c *Caught) error {
	var line string
	_, err := fmt.Scanln(&line)
	err = errors.Join(err, Default(unix.SIGTSTP))
	raise(unix.SIGTSTP)
	fmt.Println(int(other(c)))
	_, e := fmt.Scanln(&line)
	err = errors.Join(err, e, Again(unix.SIGTSTP))
	fmt.Println("again")
	fmt.Println(int(other(c)))
	return err
}

// TestStorm: signals come faster than they are read, while the program works.
func TestStorm(t *testing.T) {
	const storm = 10_000
	p := start(t, "storm")
	for range storm {
		p.kill(unix.SIGUSR1)
	}
	fmt.Fprintln(p.in, "over")
	p.out.Scan()
	if n, err := strconv.Atoi(p.out.Text()); err != nil || n < 1 || n > storm {
		t.Errorf("the helper got %q of %d signals", p.out.Text(), storm)
	}
	p.want("[10 12]")
	p.want("faults are recovered")
	p.end()
}

// helpStorm reads nothing before the storm is over. Then it sends itself another
// signal till that is what it reads: it may be lost while there is no room.
func helpStorm(c *Caught) error {
	over := make(chan error)
	go func() { // ends with the storm
		var line string
		_, err := fmt.Scanln(&line)
		over <- err
	}()
	err := work(over)
	counts := map[unix.Signal]int{}
	for counts[unix.SIGUSR2] == 0 {
		raise(unix.SIGUSR2)
		counts[other(c)]++
	}
	fmt.Println(counts[unix.SIGUSR1])
	var kinds []int
	for sig := range counts {
		kinds = append(kinds, int(sig))
	}
	slices.Sort(kinds)
	fmt.Println(kinds)
	fmt.Println("faults are", fault())
	return err
}

// work keeps several threads busy with what needs the stack and the heap.
func work(over <-chan error) error {
	done := make(chan struct{})
	for range 2 {
		go func() { // ends at done
			for {
				select {
				case <-done:
					return
				default:
					runtime.KeepAlive(strings.Repeat("storm ", 1000))
					unix.Getppid()
				}
			}
		}()
	}
	defer close(done)
	for {
		select {
		case err := <-over:
			return err
		default:
			runtime.GC()
		}
	}
}

// fault has SIGSEGV go to Go's runtime, whose handlers are not ours.
func fault() (word string) {
	defer func() {
		if recover() != nil {
			word = "recovered"
		}
	}()
	var p *int
	return strconv.Itoa(*p)
}
