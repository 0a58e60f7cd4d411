package serve

import (
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/nested"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/pipeline"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A pipelined is what the server has of a job with several commands: the pipe by which its
// main process, a supervise of package pipeline, tells how each has ended.
type pipelined struct {
	commands int
	statuses int // non-blocking; -1: closed
}

// makePipeline has the job execute a supervise that starts the commands. Its plan and its
// pipe follow the job's descriptors.
func (p *plan) makePipeline() error {
	all := make([]pipeline.Command, len(p.commands))
	for i, c := range p.commands {
		all[i] = pipeline.Command{Path: c.file, Argv: c.argv, Dir: c.dir, Env: c.env}
	}
	fd, err := pipeline.Write(all)
	if err != nil {
		return err
	}
	p.mine = append(p.mine, fd)
	r, w, err := newPipe()
	if err != nil {
		return err
	}
	unix.SetNonblock(r, true)
	p.mine, p.pipeline = append(p.mine, w), &pipelined{len(all), r}
	p.spec.Path, p.spec.Argv = nested.Exe, pipeline.Argv(len(p.files))
	p.files = append(p.files, uintptr(fd), uintptr(w))
	return nil
}

// ends returns how the commands have ended, and closes the pipe; nil: there is one command.
func (l *pipelined) ends() []protocol.CommandEnd {
	if l == nil || l.statuses < 0 {
		return nil
	}
	var text []byte
	for len(text) < maxPipe { // the job may write as well
		part := program.ReadPipe(l.statuses)
		if len(part) == 0 {
			break
		}
		text = append(text, part...)
	}
	unix.Close(l.statuses)
	l.statuses = -1
	return pipeline.Ends(text, l.commands)
}
