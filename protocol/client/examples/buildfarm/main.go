// Buildfarm runs commands, one a line of its input, so many at a time under one supervisor. What
// each has written comes in one piece. When one fails the others are ended:
//
//	printf 'cc -c %s\n' *.c | buildfarm -j 8
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"github.com/seed-c1490a04/supervise/protocol/client"
)

func main() {
	jobs := flag.Int("j", 4, "how many commands run at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	conn, err := client.Start(ctx, client.Options{})
	if err == nil {
		f := &farm{conn: conn, out: os.Stdout}
		err = errors.Join(f.run(ctx, os.Stdin, *jobs), conn.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "buildfarm:", err)
		os.Exit(1)
	}
}

// A farm runs commands.
type farm struct {
	conn *client.Conn
	mu   sync.Mutex // of out
	out  io.Writer
}

// run runs the commands that it reads, n at a time, and returns the error of the first that
// fails.
func (f *farm) run(ctx context.Context, commands io.Reader, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := make(chan string)
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() { // ends when there is no line any more
			for line := range lines {
				if err := f.build(ctx, line); err != nil {
					cancel(err) // the first one stays
				}
			}
		})
	}
	in := bufio.NewScanner(commands)
	for ctx.Err() == nil && in.Scan() {
		lines <- in.Text()
	}
	close(lines)
	workers.Wait()
	return errors.Join(context.Cause(ctx), in.Err())
}

// build runs a command, and tells what it has written when it has ended.
func (f *farm) build(ctx context.Context, command string) error {
	cmd := f.conn.CommandContext(ctx, "sh", "-c", command)
	output := &client.Capture{Wait: true}
	cmd.Stdout, cmd.Stderr = output, output
	err := cmd.Run()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.Write(output.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}
