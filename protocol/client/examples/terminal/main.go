// Terminal is a terminal session: a shell, or another command, on a terminal of its own, of which
// nothing is left when it ends:
//
//	terminal vi a.txt
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol/client"
)

func main() {
	command := os.Args[1:]
	if len(command) == 0 {
		command = []string{os.Getenv("SHELL")}
	}
	restore := makeRaw(os.Stdin)
	err := session(command)
	restore()
	exit := (*client.ExitError)(nil)
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "terminal:", err)
		os.Exit(125)
	}
}

// session runs a command on a terminal that is as large as ours.
func session(command []string) error {
	cmd := client.Command(command[0], command[1:]...)
	cmd.Pty, cmd.Stdout = &client.Pty{}, os.Stdout
	cmd.Pty.Rows, cmd.Pty.Cols = size(os.Stdout)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { // ends with the process: a read of the keyboard cannot be called off
		io.Copy(cmd.Pty, os.Stdin)
		cmd.Pty.TypeEOF()
	}()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	go func() { // ends with the process
		for range resized {
			cmd.Pty.Resize(size(os.Stdout))
		}
	}()
	return cmd.Wait()
}

// size is that of a terminal, or the usual one.
func size(f *os.File) (rows, cols uint16) {
	w, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || w.Row == 0 || w.Col == 0 {
		return 24, 80
	}
	return w.Row, w.Col
}

// makeRaw has every key reach the session, Ctrl-C as well, and its terminal alone echo it: as
// cfmakeraw(3).
func makeRaw(f *os.File) (restore func()) {
	was, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return func() {} // it is no terminal
	}
	raw := *was
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &raw)
	return func() { unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, was) }
}
