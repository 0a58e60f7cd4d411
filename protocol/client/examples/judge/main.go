// Judge runs a solution against tests, NAME.in with the answer in NAME.out, and gives a verdict
// for each:
//
//	judge -time 1s -memory 64M tests ./solution
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"github.com/seed-c1490a04/supervise/protocol/client"
)

// A judge has the limits of a problem.
type judge struct {
	conn   *client.Conn
	time   time.Duration // of the processor, and a second more by the clock
	memory string
}

// maxOutput is how many bytes of a solution's output are looked at.
const maxOutput = 1 << 20

func main() {
	limit := flag.Duration("time", time.Second, "processor time")
	memory := flag.String("memory", "256M", "memory")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: judge [flags] TESTS SOLUTION [arg]...")
		os.Exit(2)
	}
	conn, err := client.Start(context.Background(), client.Options{})
	if err == nil {
		j := judge{conn, *limit, *memory}
		err = errors.Join(j.all(os.Stdout, flag.Arg(0), flag.Args()[1:]), conn.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

// all judges all tests of a directory, one after the other: beside each other they would take
// each other's time.
func (j judge) all(w io.Writer, dir string, solution []string) error {
	tests, err := filepath.Glob(filepath.Join(dir, "*.in"))
	if err != nil || len(tests) == 0 {
		return fmt.Errorf("%s has no tests: %w", dir, errors.Join(err, os.ErrNotExist))
	}
	for _, in := range tests {
		name := strings.TrimSuffix(in, ".in")
		input, err1 := os.ReadFile(in)
		answer, err2 := os.ReadFile(name + ".out")
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		verdict, err := j.one(solution, input, answer)
		if err != nil {
			return err
		}
		fmt.Fprintln(w, filepath.Base(name), verdict)
	}
	return nil
}

// one judges one test.
func (j judge) one(solution []string, input, answer []byte) (verdict string, err error) {
	cmd := j.conn.Command(solution[0], solution[1:]...)
	output := &client.Capture{Limit: maxOutput, Wait: true}
	cmd.Stdin, cmd.Stdout = bytes.NewReader(input), output
	cmd.Timeout, cmd.Grace = j.time+time.Second, -1
	if j.conn.Has("cgroup") {
		cmd.CPUTimeout = j.time
	}
	cmd.Limits = map[string]string{"memory-max": j.memory, "MemorySwapMax": "0"}
	cmd.BestEffort = true // Spawned().Unenforced says what a place does not have
	err = cmd.Run()
	r := cmd.Record()
	switch {
	case r == nil:
		return "", err // it did not start, or the supervisor is gone
	case r.Cause == protocol.CauseTimeout, r.Cause == protocol.CauseCPUTimeout:
		return "time limit exceeded", nil
	case r.Cause == protocol.CauseOOM, r.OOMKilled != nil && *r.OOMKilled:
		return "memory limit exceeded", nil
	case err != nil:
		return "runtime error: " + err.Error(), nil
	case output.Dropped() > 0:
		return "output limit exceeded", nil
	case !bytes.Equal(bytes.TrimSpace(output.Bytes()), bytes.TrimSpace(answer)):
		return "wrong answer", nil
	}
	return "accepted", nil
}
