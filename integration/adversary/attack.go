package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ownUsers are the users that may attack: nobody else's processes are theirs, so that what hits all of a user hits no more than
// the job and its supervisor. The tests give each attack a user of its own.
const ownUsers = 200000

// attacks are what a job may do to be rid of its supervisor, or to spoil its work. Each is tried, whatever becomes of it.
var attacks = map[string]func(*field) error{
	"nothing":          func(*field) error { return nil },
	"daemons":          func(*field) error { return daemon(options{count: 3}) },
	"subreaper":        func(*field) error { return subreaper(options{}) },
	"stopped":          func(*field) error { return stopped(options{count: 2}) },
	"bomb":             func(*field) error { return bomb(options{count: 150}) },
	"squib":            func(*field) error { return bomb(options{count: 120}) },
	"zombies":          func(*field) error { return zombies(options{count: 20}) },
	"headless":         func(*field) error { return headless(options{count: 2}) },
	"signals":          sendSignals,
	"kill-all":         func(*field) error { return unix.Kill(-1, unix.SIGKILL) },
	"kill-supervise":   func(f *field) error { return f.signal(f.supervisor, unix.SIGKILL) },
	"kill-guardian":    killGuardian,
	"guardian-first":   guardianFirst,
	"both":             killBoth,
	"stop-supervise":   func(f *field) error { return f.signal(f.supervisor, unix.SIGSTOP) },
	"stop-guardian":    stopGuardian,
	"freeze-supervise": freezeSupervisor,
	"ptrace":           (*field).trace,
	"descriptors":      (*field).writeDescriptors,
	"memory":           (*field).openMemory,
	"oom":              (*field).raiseScore,
	"nofile":           func(f *field) error { return f.limit(unix.RLIMIT_NOFILE, 0) },
	"nproc":            func(f *field) error { return f.limit(unix.RLIMIT_NPROC, 0) },
	"fsize":            func(f *field) error { return f.limit(unix.RLIMIT_FSIZE, 0) },
	"as":               func(f *field) error { return f.limit(unix.RLIMIT_AS, 1<<20) },
	"cpu":              func(f *field) error { return f.limit(unix.RLIMIT_CPU, 1) },
	"chmod-files":      chmodFiles,
	"chmod-dirs":       chmodDirs,
	"move":             moveOut,
	"move-kill":        func(f *field) error { return errors.Join(moveOut(f), f.signal(f.supervisor, unix.SIGKILL)) },
	"unmark-kill": func(f *field) error {
		return errors.Join(resetLimits(), moveOut(f), f.signal(f.supervisor, unix.SIGKILL))
	},
	"threaded":      makeThreaded,
	"xattr-both":    func(f *field) error { return errors.Join(removeXattrs(f), killBoth(f)) },
	"flock-both":    func(f *field) error { return errors.Join(lockSession(f), killBoth(f)) },
	"chmod-both":    func(f *field) error { return errors.Join(chmodDirs(f), killBoth(f)) },
	"threaded-both": func(f *field) error { return errors.Join(makeThreaded(f), killBoth(f)) },
	"limits":        writeLimits,
	"descendants":   noDescendants,
	"freeze":        freezeLate,
	"deep":          func(f *field) error { return dig(f, 1500) },
	"shaft":         func(f *field) error { return dig(f, 40) },
	"namespace":     inNamespace,
}

// attack does what o.do names, and says of each how it went.
func attack(o options) error {
	if os.Getuid() < ownUsers {
		return fmt.Errorf("user %d may have other processes: give a user of its own, from %d on", os.Getuid(), ownUsers)
	}
	f, err := survey()
	if err != nil {
		return err
	}
	if err := daemon(options{count: 2}); err != nil {
		return err
	}
	if err := setsid(options{count: 1}); err != nil {
		return err
	}
	for _, name := range strings.Split(o.do, ",") {
		if attacks[name] == nil {
			return fmt.Errorf("no attack %q", name)
		}
		if err := attacks[name](f); err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			fmt.Printf("refused %s: %s\n", name, first)
		} else {
			fmt.Println("did", name)
		}
	}
	return nil
}

// errNoTarget: the job sees no such process, or has no such cgroup.
var errNoTarget = errors.New("there is none to be seen")

// signal signals a process of supervise's.
func (f *field) signal(pid int, sig unix.Signal) error {
	if pid <= 1 {
		return errNoTarget
	}
	return unix.Kill(pid, sig)
}

// sendSignals sends supervise whatever it might catch, or die of; those that it hands on come back.
func sendSignals(f *field) error {
	ignoreAll()
	var failed error
	for sig := unix.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
			continue // a job that is stopped does nothing more
		}
		failed = errors.Join(failed, f.signal(f.supervisor, sig))
	}
	return failed
}

// killGuardian kills the guardian, and waits until it is dead.
func killGuardian(f *field) error {
	if f.guardian <= 1 {
		return errNoTarget
	}
	fd, err := unix.PidfdOpen(f.guardian, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := f.signal(f.guardian, unix.SIGKILL); err != nil {
		return err
	}
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != unix.EINTR {
			return err
		}
	}
}

// guardianFirst kills the guardian, and supervise when there is another one, or when there is none for two seconds.
func guardianFirst(f *field) error {
	old := f.guardian
	if err := killGuardian(f); err != nil {
		return err
	}
	for range 2000 {
		if next := guardianOf(f.supervisor); next > 1 && next != old {
			break
		}
		pauseMillisecond()
	}
	return f.signal(f.supervisor, unix.SIGKILL)
}

// killBoth kills both before either hears of the other's end.
func killBoth(f *field) error {
	return errors.Join(f.signal(f.supervisor, unix.SIGSTOP), f.signal(f.guardian, unix.SIGKILL), f.signal(f.supervisor, unix.SIGKILL))
}

func stopGuardian(f *field) error {
	return errors.Join(f.signal(f.guardian, unix.SIGSTOP), f.signal(f.supervisor, unix.SIGKILL))
}
