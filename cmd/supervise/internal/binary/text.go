package binary

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// IsText says whether arguments are those of the text protocol: they begin with a number.
func IsText(args []string) bool {
	_, err := strconv.Atoi(args[0])
	return err == nil
}

// A text is a supervise that speaks the text protocol.
type text struct {
	control, status int // descriptors; negative: none
	argv            []string
	file            string // what argv[0] names
	decoder         protocol.TextDecoder
}

// Text runs a command, and speaks the text protocol about it until nothing of the job is
// left. It returns the exit status.
func Text(p *cli.Program, args []string) int {
	t, err := parseText(args)
	if err != nil {
		return p.Usage(err)
	}
	if t.file, err = program.LookPath(t.argv[0]); err != nil {
		return t.notStarted(p, err)
	}
	owner := &supervisor.Owner{
		In: t.control, Out: t.status, Decoder: &t.decoder, Encode: t.encode,
		Last: []string{protocol.TextNoChildren, protocol.TextTerminating},
	}
	return hold(p, owner, func(place *containment.Place) (status int) {
		pid, err := t.start(place)
		if err != nil {
			return t.notStarted(p, err)
		}
		t.decoder.PID, owner.First = int32(pid), protocol.TextPID(pid)
		return 0
	})
}

// parseText takes the arguments, and keeps the command from inheriting the descriptors. It
// is called before anything is opened, which could get the number of one that is not open.
func parseText(args []string) (*text, error) {
	if len(args) < 3 {
		return nil, errText
	}
	control, err1 := strconv.Atoi(args[0])
	status, err2 := strconv.Atoi(args[1])
	if errors.Join(err1, err2) != nil {
		return nil, errText
	}
	for _, fd := range []int{control, status} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); fd >= 0 && err != nil {
			return nil, fmt.Errorf("descriptor %d is not open", fd)
		}
	}
	return &text{control: control, status: status, argv: args[2:]}, nil
}

var errText = errors.New("a number is for 'supervise CONTROLFD STATUSFD COMMAND [ARG]...', the text protocol of catern/supervise " +
	"up to 1.4; 'supervise help' lists the commands")

func (t *text) notStarted(p *cli.Program, err error) (status int) {
	status, complaint := program.NotStarted(t.argv[0], err)
	p.Complain(complaint)
	return status
}

// start starts the command, which takes part in our session and process group as if it had
// been there before us.
func (t *text) start(place *containment.Place) (pid int, err error) {
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: t.files(), Sys: &syscall.SysProcAttr{}}
	pid, err = place.Start(t.file, t.argv, attr)
	if err == unix.ENOEXEC { // as execvp(3) does
		pid, err = place.Start("/bin/sh", append([]string{"sh", t.file}, t.argv[1:]...), attr)
	}
	return pid, err
}

// files are the standard descriptors of the command, without those of the owner.
func (t *text) files() []uintptr {
	const closed = ^uintptr(0)
	files := []uintptr{0, 1, 2}
	for i := range files {
		if i == t.control || i == t.status {
			files[i] = closed
		}
	}
	return files
}

// encode tells of the end of the main process alone, whose pid may be another's from then
// on.
func (t *text) encode(e *protocol.Event, _ *unix.Rusage) []byte {
	if int32(e.PID()) != t.decoder.PID {
		return nil
	}
	line := protocol.TextEnd(e)
	if line != "" {
		t.decoder.PID = 0
	}
	return []byte(line)
}
