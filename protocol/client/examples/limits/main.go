// Limits runs a command with limits, and says what it has used:
//
//	limits -memory 1G -pids 200 -time 1m -- make -j8
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"github.com/seed-c1490a04/supervise/protocol/client"
)

func main() {
	memory := flag.String("memory", "", "the most memory, such as 1G")
	pids := flag.String("pids", "", "the most processes and threads")
	timeout := flag.Duration("time", 0, "the most time")
	bestEffort := flag.Bool("best-effort", false, "run without the limits that cannot be had here")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: limits [flags] -- command [arg]...")
		os.Exit(125)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cmd := client.CommandContext(ctx, flag.Arg(0), flag.Args()[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Limits = map[string]string{}
	for name, value := range map[string]string{"memory-max": *memory, "pids-max": *pids} {
		if value != "" {
			cmd.Limits[name] = value
		}
	}
	cmd.Timeout, cmd.BestEffort = *timeout, *bestEffort
	os.Exit(run(cmd))
}

// run runs the command, and returns the exit status.
func run(cmd *client.Cmd) int {
	err := cmd.Run()
	for _, u := range cmd.Spawned().Unenforced {
		fmt.Fprintf(os.Stderr, "limits: not enforced: %s: %s\n", u.Name, u.Reason)
	}
	if r := cmd.Record(); r != nil {
		tell(r)
	}
	exit := (*client.ExitError)(nil)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0 && exit.Record.Cause == protocol.CauseExited:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "limits:", err)
	return 125
}

// tell says what a job has used. What is not known is left out.
func tell(r *protocol.Record) {
	fmt.Fprintf(os.Stderr, "limits: %s after %v", r.Cause, time.Duration(r.WallS*float64(time.Second)).Round(time.Millisecond))
	if u, s := r.CPU.UserS, r.CPU.SystemS; u != nil && s != nil {
		fmt.Fprintf(os.Stderr, ", %.3f s of processor time", *u+*s)
	}
	if peak := r.Memory.PeakBytes; peak != nil {
		fmt.Fprintf(os.Stderr, ", %d KiB of memory at most", *peak>>10)
	}
	if n := r.LeftoversTotal; n != nil && *n > 0 {
		fmt.Fprintf(os.Stderr, ", %d processes left behind and ended", *n)
	}
	fmt.Fprintln(os.Stderr)
}
