package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// headless starts processes in sessions of their own whose first thread exits, while another lives.
func headless(o options) error {
	for range o.count {
		cmd := again("headless-child")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return err
		}
		if word, _ := io.ReadAll(out); len(word) == 0 {
			return errors.New("the child has failed")
		}
	}
	return nil
}

// headlessChild ends its first thread. Another says so on stdout, and stays.
func headlessChild(options) error {
	os.WriteFile("/proc/self/comm", lurker[:], 0)
	if unix.Gettid() != os.Getpid() {
		return errors.New("not on the first thread")
	}
	go func() {
		runtime.LockOSThread()
		for stat := []byte(nil); !bytes.Contains(stat, []byte(") Z ")); {
			stat, _ = os.ReadFile("/proc/self/stat")
		}
		os.Stdout.WriteString("headless\n")
		os.Stdout.Close()
		forever()
	}()
	unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // of the thread
	return nil
}
