package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// seedStarter in the environment turns the test binary into a client's child of the old days: a process that becomes a
// subreaper, starts children and then executes supervise without arguments.
const seedStarter = "SUPERVISE_TEST_SEED_STARTER"

// Descriptors of the starter beyond standard error. It executes supervise without the last two.
const (
	starterLeak   = 3 // the box's leak pipe
	starterOut    = 4 // standard output of the children
	starterReport = 5 // where the starter writes the children's pids; at EOF supervise was executed
)

// A seedSpec says what the starter does, in this order.
type seedSpec struct {
	Supervise string     // the program
	ReadOnly  string     // the cgroup2 mount, to be read-only in our mount namespace: supervise must fall back
	Children  [][]string // command lines, started one after the other
	Args      []string   // of supervise: for the text protocol
	Dead      bool       // wait until the children have ended, without reaping them
	Spin      int        // go round an empty loop so often
	Nonblock  bool       // make the descriptions behind fd 0 and 1 non-blocking
	testbed.Held

	same *[2]*os.File // if not nil, for other descriptors of the descriptions behind fd 0 and 1; the test closes them
}

func init() {
	spec := os.Getenv(seedStarter)
	if spec == "" {
		return
	}
	if err := startSeed(spec); err != nil {
		fmt.Fprintln(os.Stderr, "seed starter:", err)
	}
	os.Exit(99)
}

// startSeed does not return unless it fails. Mount namespace and signal mask belong to a thread, and exec keeps those of
// the thread that calls it.
func startSeed(text string) error {
	runtime.LockOSThread()
	var spec seedSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	unix.CloseOnExec(starterOut)
	unix.CloseOnExec(starterReport)
	if spec.ReadOnly != "" {
		if err := remountReadOnly(spec.ReadOnly); err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := spec.startChildren(); err != nil {
		return err
	}
	if err := spec.setUp(); err != nil {
		return err
	}
	for range spec.Spin {
		spun++
	}
	return syscall.Exec(spec.Supervise, append([]string{"supervise"}, spec.Args...), nil) // no environment: the seed has none
}

var spun int // keeps the compiler from leaving the loop out

func (s *seedSpec) startChildren() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	attr := &syscall.ProcAttr{Env: []string{"PATH=" + os.Getenv("PATH")}, Files: []uintptr{null.Fd(), starterOut, 2, starterLeak}}
	pids := []int{}
	for _, argv := range s.Children {
		pid, err := syscall.ForkExec(argv[0], argv, attr)
		if err != nil {
			return fmt.Errorf("%q: %w", argv, err)
		}
		pids = append(pids, pid)
	}
	if s.Dead {
		for _, pid := range pids {
			if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
				return err
			}
		}
	}
	return json.NewEncoder(os.NewFile(starterReport, "report")).Encode(pids)
}

func (s *seedSpec) setUp() error {
	for fd := range 2 {
		if err := unix.SetNonblock(fd, s.Nonblock); err != nil {
			return err
		}
	}
	return s.Held.Set() // which survives exec
}

// remountReadOnly makes a mount read-only for this mount namespace alone.
func remountReadOnly(point string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(point, &st); err != nil {
		return err
	}
	// A user namespace may not drop these. Their MS_ and ST_ values are the same.
	keep := uintptr(st.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|keep, ""); err != nil {
		return fmt.Errorf("remounting %s read-only: %w", point, err)
	}
	return nil
}
