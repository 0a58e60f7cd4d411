package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// served is a `supervise serve` whose owner is the bench. As an owner it is as cheap as can be: it looks for a few words in a
// line instead of decoding it, so that what is measured is the server.
type served struct {
	*specimen
	lines *bufio.Reader
	stuck *time.Timer
	ended map[string]int // job: how often its end was told
}

// servedLimit bounds a measure with one server.
const servedLimit = 5 * time.Minute

func (b *bench) serve(flags ...string) (*served, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "owner"), os.NewFile(uintptr(fds[1]), "serve")
	theirs2, err := syscall.Dup(fds[1])
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(theirs2)
	s, err := b.spawn(append([]string{b.supervise, "serve"}, flags...), theirs, os.NewFile(uintptr(theirs2), "serve"))
	if err != nil {
		ours.Close()
		return nil, err
	}
	s.end = ours
	v := &served{specimen: s, lines: bufio.NewReaderSize(ours, 64<<10), ended: map[string]int{}}
	v.stuck = time.AfterFunc(servedLimit, func() { syscall.Kill(s.pid, syscall.SIGKILL) })
	if err := v.ask("hello", `{"versions":[1]}`); err != nil {
		return nil, err
	}
	if _, err := v.await(`"version":`); err != nil {
		return nil, errors.Join(err, b.endServed(v))
	}
	return v, nil
}

func (v *served) ask(method, params string) error {
	_, err := fmt.Fprintf(v.end, `{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`+"\n", method, params)
	return err
}

func spawnParams(argv ...string) string {
	quoted := ""
	for i, a := range argv {
		if i > 0 {
			quoted += ","
		}
		quoted += strconv.Quote(a)
	}
	return `{"argv":[` + quoted + `]}`
}

var endedLine, errorLine = []byte(`{"jsonrpc":"2.0","method":"ended","params":{"job":`), []byte(`,"error":{`)

// line reads a line, and counts the ends.
func (v *served) line() ([]byte, error) {
	line, err := v.lines.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if rest, ok := bytes.CutPrefix(line, endedLine); ok {
		job, _, _ := bytes.Cut(rest, []byte(","))
		v.ended[string(job)]++
	} else if bytes.Contains(line, errorLine) {
		return nil, fmt.Errorf("serve: %s", line)
	}
	return line, nil
}

// await reads to a line with some text.
func (v *served) await(text string) ([]byte, error) {
	for {
		line, err := v.line()
		if err != nil || bytes.Contains(line, []byte(text)) {
			return line, err
		}
	}
}

// spawnAll spawns n jobs, some in flight, and reads on until each has come so far.
func (v *served) spawnAll(n, inFlight int, params, so string) error {
	for sent, done := 0, 0; done < n; {
		for ; sent < n && sent-done < inFlight; sent++ {
			if err := v.ask("spawn", params); err != nil {
				return err
			}
		}
		if _, err := v.await(so); err != nil {
			return err
		}
		done++
	}
	return nil
}

// rest reads to the end, and wants the end of each of n jobs told once.
func (v *served) rest(n int) error {
	for {
		if _, err := v.line(); err != nil {
			break
		}
	}
	for job, times := range v.ended {
		if times != 1 {
			return fmt.Errorf("the end of job %s was told %d times", job, times)
		}
	}
	if len(v.ended) != n {
		return fmt.Errorf("the end of %d of %d jobs was told", len(v.ended), n)
	}
	return nil
}

// endServed ends a server in the ordinary way; nothing of it may be left.
func (b *bench) endServed(v *served) error {
	defer v.stuck.Stop()
	return b.finish(v.specimen)
}
