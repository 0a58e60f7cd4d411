// Supervise-top is "supervise top": a live view of the jobs that the supervisors on this machine
// hold.
//
//	jobs.Watch ── a reading each second ──> model ──> table, or details of one job
//	keys ──> model ──> actions, each after a question
//
// The model belongs to bubbletea's loop. Readings and actions run beside it, one reading at a
// time, and come back as messages.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/jobs"
	"github.com/seed-c1490a04/supervise/cmd/internal/top"
)

const helpText = `usage: supervise top [--all] [--every D]

Shows the jobs that any supervise of this user holds, for root any at all: what each uses
of processors, memory and devices, and what it waits for. One reading a second.

  --all      also other users', as far as they can be read
  --every D  a reading every D (1s)

up, down    another job         enter  its details: processes, limits, pressure
s, S        sort by the next, the previous column
/           show only jobs whose id or name has a text
k           kill                f, t   freeze, thaw
l           limit               q      quit; esc: back

Each of these asks before it does something. Colours follow NO_COLOR and TERM.

exit status: 0; 125 if supervise-top failed, 2 if it was misused.
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) (status int) {
	p := &cli.Program{Name: "supervise-top", Version: cli.Version, Help: func(string) int { fmt.Print(helpText); return 0 }}
	c := &top.CommandLine{Every: time.Second}
	_, rest, err := top.Flags().Parse(c, args)
	switch {
	case err != nil:
		return p.Usage(err)
	case len(rest) > 0:
		return p.Usage(fmt.Errorf("one argument too many: %q", rest[0]))
	case c.Help:
		return p.Help("")
	}
	if _, err := unix.IoctlGetTermios(1, unix.TCGETS); err != nil {
		p.Complain(errors.New("standard output is no terminal; 'supervise list' prints a table"))
		return cli.ExitFailure
	}
	uid := os.Geteuid()
	watch := &jobs.Watch{Wanted: func(j *jobs.Job) bool { return uid == 0 || c.All || j.UID == uid }}
	if _, err := tea.NewProgram(newModel(watch, c.Every), tea.WithFPS(framesPerSecond)).Run(); err != nil && !errors.Is(err, tea.ErrInterrupted) {
		p.Complain(err)
		return cli.ExitFailure
	}
	return 0
}

// framesPerSecond is how often the screen is looked at for changes, which takes processor time
// even if there are none: 1% of a core at Bubble Tea's 60. A key shows within a frame.
const framesPerSecond = 10
