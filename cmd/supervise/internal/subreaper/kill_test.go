package subreaper

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestKill(t *testing.T) {
	want := "before: 7 of 7, empty false\nafter: 0 of 7, empty true\nagain: 0 of 7, empty true\n"
	if got := helper(t, "kill"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpKill(tr *tree) error {
	if _, err := tr.start(everyKind, 7); err != nil {
		return err
	}
	return errors.Join(
		tr.tell("before", tr.pids...),
		tr.Kill(), tr.tell("after", tr.pids...),
		tr.Kill(), tr.tell("again", tr.pids...),
	)
}

// TestKillGrowing kills a tree while it grows.
func TestKillGrowing(t *testing.T) {
	want := "after: 0 of 1, empty true\n"
	if got := helper(t, "growing"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// 2 to the power of 9 shells at most, none of which ends by itself.
const growing = `
grow() { if [ $1 -gt 0 ]; then grow $(($1-1)) & grow $(($1-1)) & fi; read x <&5; }
(echo $$ >&4); grow 8`

func helpGrowing(tr *tree) error {
	if _, err := tr.start(growing, 1); err != nil {
		return err
	}
	return errors.Join(tr.Kill(), tr.tell("after", tr.pids...))
}

// TestKillUntaken: zombies whose statuses the owner does not take, in any number, hold up nothing.
func TestKillUntaken(t *testing.T) {
	want := "after: 0 of 1, empty true\n"
	if got := helper(t, "untaken"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpUntaken(tr *tree) error {
	maxEnded, maxGrown = 5, 10
	tr.Reap = func() int { return 0 }
	for range 50 {
		pid, err := tr.start("exit 0", 0)
		if err == nil {
			err = unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		}
		if err != nil {
			return err
		}
	}
	if _, err := tr.start("(echo $$ >&4); exec sleep 1000", 1); err != nil {
		return err
	}
	killed := make(chan error, 1)
	go func() { killed <- tr.Kill() }()
	select {
	case err := <-killed:
		return errors.Join(err, tr.tell("after", tr.pids...))
	case <-time.After(20 * time.Second): // the caller would go on killing
		unix.Kill(tr.pids[0], unix.SIGKILL)
		fmt.Println("still killing")
		os.Exit(1)
	}
	return nil
}

// TestSignal: everybody gets the signal and runs on, but for who was stopped.
func TestSignal(t *testing.T) {
	want := "before: 4 of 4, empty false\n" +
		"got it: true\n" +
		"the stopped one: state T, continued false\n" +
		"after: 0 of 4, empty true\n"
	if got := helper(t, "signal"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

const trapping = `
leaf='trap "echo \$\$ >&4" USR1; echo $$ >&4; read x <&5'
sh -c "$leaf" &
(setsid sh -c "$leaf" &)
trap 'echo $$ >&4' USR1; echo $$ >&4; wait`

func helpSignal(tr *tree) error {
	if _, err := tr.start(trapping, 3); err != nil {
		return err
	}
	running := slices.Sorted(slices.Values(tr.pids))
	stopped, err := tr.start(`echo $$ >&4; kill -STOP $$; echo wrong >&4`, 1)
	if err != nil {
		return err
	}
	if err := errors.Join(await(stopped, unix.WSTOPPED), tr.tell("before", tr.pids...)); err != nil {
		return err
	}
	if err := tr.Signal(unix.SIGUSR1); err != nil {
		return err
	}
	p, err := readProcess(stopped)
	if err != nil {
		return err
	}
	got, err := tr.read(len(running))
	fmt.Println("got it:", slices.Equal(slices.Sorted(slices.Values(got)), running))
	fmt.Printf("the stopped one: state %c, continued %t\n", p.state, changed(stopped, unix.WCONTINUED))
	return errors.Join(err, tr.Kill(), tr.tell("after", tr.pids...))
}

// TestStillWhenOver: what is about to be killed does not go on.
func TestStillWhenOver(t *testing.T) {
	if got, want := helper(t, "still-over"), "T 7 of 7\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpStillOver(tr *tree) error {
	if _, err := tr.start(everyKind, 7); err != nil {
		return err
	}
	over := false
	tr.Over = func() bool { return over }
	goOn := tr.stopAll()
	for tr.stopped() != 7 { // the signals are sent, and on their way
		runtime.Gosched()
	}
	over = true
	goOn()
	fmt.Printf("T %d of %d\n", tr.stopped(), len(tr.pids))
	return tr.Kill()
}

// TestStill: all stop, and all go on but the one that was stopped before.
func TestStill(t *testing.T) {
	want := "still: T 7 of 7\nafter: T 1 of 7, told 0\n"
	if got := helper(t, "still"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// stopped says how many of the processes are.
func (tr *tree) stopped() (n int) {
	for _, pid := range tr.pids {
		if p, err := readProcess(pid); err == nil && p.state == 'T' {
			n++
		}
	}
	return n
}

func helpStill(tr *tree) error {
	if _, err := tr.start(everyKind, 7); err != nil {
		return err
	}
	for tr.stopped() != 1 { // it has reported, and is about to stop itself
		runtime.Gosched()
	}
	goOn := tr.stopAll()
	for tr.stopped() != 7 { // the signals are sent, and on their way
		runtime.Gosched()
	}
	fmt.Printf("still: T %d of %d\n", tr.stopped(), len(tr.pids))
	goOn()
	told := 0
	for _, pid := range tr.pids {
		if p, err := readProcess(pid); err == nil && p.parent == os.Getpid() && changed(pid, unix.WSTOPPED|unix.WCONTINUED) && p.state != 'T' {
			told++
		}
	}
	fmt.Printf("after: T %d of %d, told %d\n", tr.stopped(), len(tr.pids), told)
	return errors.Join(tr.Kill())
}

// TestSpare: a child that is spared is no member of the tree, nor are those
// below it, and nothing happens to them.
func TestSpare(t *testing.T) {
	want := "before: 1 of 1, empty false\n" +
		"spared before: 0 of 2, empty false\n" +
		"after: 0 of 1, empty true\n" +
		"spared after: S S, stopped false\n" +
		"no longer spared: 2 of 2, empty false\n" +
		"at the end: 0 of 2, empty true\n"
	if got := helper(t, "spare"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpSpare(tr *tree) error {
	parent, err := tr.start(`sh -c 'echo $$ >&4; read x <&5' & echo $$ >&4; wait`, 2)
	if err != nil {
		return err
	}
	spared := tr.pids
	job, err := tr.start(`echo $$ >&4; read x <&5`, 1)
	if err != nil {
		return err
	}
	tr.Spare = []int{parent}
	err = errors.Join(
		tr.tell("before", job), tr.tell("spared before", spared...),
		tr.Signal(unix.SIGTERM), tr.Kill(), tr.tell("after", job),
	)
	fmt.Print("spared after:")
	for _, pid := range spared {
		p, e := readProcess(pid)
		if p.state == 'R' || p.state == 'D' { // it may be on its way to sleep yet
			p.state = 'S'
		}
		fmt.Printf(" %c", p.state)
		err = errors.Join(err, e)
	}
	fmt.Printf(", stopped %t\n", changed(parent, unix.WSTOPPED|unix.WCONTINUED))
	tr.Spare = nil
	return errors.Join(err, tr.tell("no longer spared", spared...), tr.Kill(), tr.tell("at the end", spared...))
}

// TestZombies: the dead do not count, and need no killing.
func TestZombies(t *testing.T) {
	want := "before: 0 of 20, empty true\nafter: 0 of 20, empty true\n"
	if got := helper(t, "zombies"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpZombies(tr *tree) error {
	for range 20 {
		pid, err := tr.start(`echo $$ >&4`, 1)
		if err == nil {
			err = await(pid, unix.WEXITED)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(tr.tell("before", tr.pids...), tr.Kill(), tr.tell("after", tr.pids...))
}

// TestStart: what cannot be started leaves nothing.
func TestStart(t *testing.T) {
	want := "start: no such file or directory\nafter: 0 of 0, empty true\nwaitid: no child processes\n"
	if got := helper(t, "start"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpStart(tr *tree) error {
	_, err := tr.Start("/nonexistent", []string{"nonexistent"}, &syscall.ProcAttr{Files: []uintptr{0, 2, 2, 3}})
	fmt.Println("start:", err)
	err = tr.tell("after")
	fmt.Println("waitid:", unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG, nil))
	return err
}

func TestErrors(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&AliveError{[]int{4, 5}}, "processes [4 5] cannot be ended (another user's, or hanging in the kernel)"},
		{sendError(42, unix.SIGTERM, unix.EPERM), "sending signal 15 to process 42: operation not permitted"},
		{prctlError(unix.EINVAL), "becoming a child subreaper: invalid argument"},
	}
	for _, tt := range tests {
		if tt.err.Error() != tt.want {
			t.Errorf("got %q, want %q", tt.err, tt.want)
		}
	}
	for _, err := range []error{nil, unix.ESRCH} {
		if err := sendError(42, unix.SIGTERM, err); err != nil {
			t.Errorf("a process that is gone is an error: %v", err)
		}
	}
	if !errors.Is(sendError(42, unix.SIGTERM, unix.EPERM), unix.EPERM) {
		t.Error("the errno is not wrapped")
	}
}
