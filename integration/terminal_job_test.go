package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"
)

// terminalJob in the environment turns the test binary into a job on a terminal. It tells what happens to it:
//
//	started PID  when it is set up
//	continued    at SIGCONT
//	size RxC     at SIGWINCH
//	line: TEXT   at SIGUSR1, when it has read a line
//
// Everything else has its default action. With the argument "raw" it puts the terminal into raw mode first.
const terminalJob = "SUPERVISE_TEST_TERMINAL_JOB"

func init() {
	if os.Getenv(terminalJob) == "" {
		return
	}
	if err := onTerminal(slices.Contains(os.Args, "raw")); err != nil {
		fmt.Println("terminal job:", err)
		os.Exit(99)
	}
	os.Exit(0)
}

func onTerminal(raw bool) error {
	c := make(chan os.Signal, 16)
	signal.Notify(c, unix.SIGCONT, unix.SIGWINCH, unix.SIGUSR1)
	if raw {
		if err := makeRaw(0); err != nil {
			return err
		}
	}
	fmt.Println("started", os.Getpid())
	lines := bufio.NewReader(os.Stdin)
	for sig := range c {
		switch sig {
		case unix.SIGCONT:
			fmt.Println("continued")
		case unix.SIGWINCH:
			size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
			if err != nil {
				return err
			}
			fmt.Printf("size %dx%d\n", size.Row, size.Col)
		case unix.SIGUSR1:
			line, err := lines.ReadString('\n')
			if err != nil {
				return err
			}
			fmt.Print("line: ", line)
		}
	}
	return nil
}

// makeRaw is cfmakeraw, with output processing left on for who reads along.
func makeRaw(fd int) error {
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	mode.Iflag &^= unix.BRKINT | unix.ICRNL | unix.INPCK | unix.ISTRIP | unix.IXON
	mode.Lflag &^= unix.ECHO | unix.ICANON | unix.IEXTEN | unix.ISIG
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, mode)
}
