package c

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// unlinkwait builds the program.
func unlinkwait(t *testing.T) string {
	t.Helper()
	needPrograms(t, "cc", "make")
	dir := sources(t)
	run(t, command(t, dir, "make", "build/unlinkwait"))
	return filepath.Join(dir, "build/unlinkwait")
}

// wantStatus waits for the end of a program.
func wantStatus(t *testing.T, cmd *exec.Cmd, status int) {
	t.Helper()
	if cmd.Wait(); cmd.ProcessState.ExitCode() != status {
		t.Errorf("%q: %v, want status %d", cmd.Args, cmd.ProcessState, status)
	}
}

// awaitWatch waits until a process watches something by inotify, of which no event tells.
func awaitWatch(t *testing.T, pid int) {
	t.Helper()
	testbed.Eventually(t, time.Minute, "a watch", func() error {
		files, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fdinfo", "*"))
		for _, file := range files {
			if text, _ := os.ReadFile(file); strings.Contains(string(text), "inotify wd:") {
				return nil
			}
		}
		return fmt.Errorf("%d watches nothing", pid)
	})
}

// TestUnlinkwait: 0 when no link is left, by whatever path it was told of the file.
func TestUnlinkwait(t *testing.T) {
	program := unlinkwait(t)
	remove := func(path string) error { return os.Remove(path) }
	for _, tt := range []struct {
		name   string
		make   func(path string) error
		path   string // "": the file's own; "link": a symbolic link to it
		remove func(path string) error
	}{
		{"removed", touch, "", remove},
		{"by a symbolic link", touch, "link", remove},
		{"renamed, then removed", touch, "", func(path string) error {
			return errors.Join(os.Rename(path, path+".2"), os.Remove(path+".2"))
		}},
		{"another link", touch, "", func(path string) error {
			return errors.Join(os.Link(path, path+".2"), os.Remove(path), os.Chmod(path+".2", 0o600), os.Remove(path+".2"))
		}},
		{"another file renamed over it", touch, "", func(path string) error {
			return errors.Join(touch(path+".2"), os.Rename(path+".2", path))
		}},
		{"a FIFO by its path", func(path string) error { return unix.Mkfifo(path, 0o600) }, "", remove},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "file")
			path := file
			if tt.path != "" {
				path = filepath.Join(t.TempDir(), tt.path)
			}
			if err := tt.make(file); err != nil {
				t.Fatal(err)
			}
			if path != file {
				if err := os.Symlink(file, path); err != nil {
					t.Fatal(err)
				}
			}
			cmd := command(t, t.TempDir(), program, path)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			awaitWatch(t, cmd.Process.Pid)
			if err := tt.remove(file); err != nil {
				t.Error(err)
			}
			wantStatus(t, cmd, 0)
		})
	}
}

// TestUnlinkwaitDescriptor: the file is one that it has inherited, and it does not matter when it goes, or has gone.
func TestUnlinkwaitDescriptor(t *testing.T) {
	program := unlinkwait(t)
	for _, before := range []bool{true, false} {
		file, err := os.Create(filepath.Join(t.TempDir(), "file"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd := command(t, t.TempDir(), program, "/proc/self/fd/3")
		cmd.ExtraFiles = []*os.File{file}
		if before {
			os.Remove(file.Name())
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		os.Remove(file.Name())
		wantStatus(t, cmd, 0)
	}
}

// TestUnlinkwaitRefuses: 1 for what cannot be waited for, and one line says why.
func TestUnlinkwaitRefuses(t *testing.T) {
	program := unlinkwait(t)
	dir := t.TempDir()
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	secret := filepath.Join(dir, "secret")
	if err := errors.Join(touch(secret), os.Chmod(secret, 0)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {secret, secret}, {filepath.Join(dir, "none")}, {filepath.Join(dir, "socket")}, {secret}} {
		if len(args) == 1 && args[0] == secret && os.Geteuid() == 0 {
			continue // root may read it
		}
		cmd := command(t, dir, append([]string{program}, args...)...)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%q: %v, %q", args, cmd.ProcessState, out)
		}
	}
}

// TestUnlinkwaitDaemon is the recipe that the seed's README had for a daemon: it lives as long as a FIFO has a name, and takes
// commands by it.
func TestUnlinkwaitDaemon(t *testing.T) {
	program := unlinkwait(t)
	cmd := command(t, t.TempDir(), "sh", "-c", `set -e
mkfifo fifo up usr1
unlinkwait /proc/self/fd/3 3>fifo &
supervise 3 3<fifo 4 4>status.log sh -c 'trap "echo >usr1" USR1; setsid sleep 1000 & echo >up; while :; do wait; done' &
read line <up
echo signal 10 >fifo
read line <usr1
rm fifo
wait
sed 's/pid .*/pid/' status.log`)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(program)+":"+filepath.Dir(supervise)+":"+os.Getenv("PATH"))
	if out := run(t, cmd); out != "pid\nkilled 9\nno_children\nterminating\n" {
		t.Errorf("said %q", out)
	}
}

func touch(path string) error { return os.WriteFile(path, nil, 0o600) }
