package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"github.com/seed-c1490a04/supervise/protocol/client"
)

func ExampleCommand() {
	cmd := client.Command("tr", "a-z", "A-Z")
	cmd.Stdin = strings.NewReader("some input")
	out, err := cmd.Output()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", out)
	// Output: SOME INPUT
}

// What the command leaves behind is ended with it, and does not hold up its output.
func ExampleCommand_daemon() {
	cmd := client.Command("sh", "-c", "setsid sleep 1000 & echo done")
	out, err := cmd.Output()
	fmt.Printf("%s%v, leftovers: %d\n", out, err, *cmd.Record().LeftoversTotal)
	// Output:
	// done
	// <nil>, leftovers: 1
}

// The context ends all of the tree.
func ExampleCommandContext() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := client.CommandContext(ctx, "sh", "-c", "sleep 1000 & sleep 1000").Run()
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// killed (signal: SIGKILL)
	// true
}

func ExampleCmd_Record() {
	cmd := client.Command("sh", "-c", "exit 3")
	var exit *client.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) {
		log.Fatal(err)
	}
	fmt.Println(exit, exit.ExitCode(), cmd.Record().Cause)
	// Output: exit status 3 3 exited
}

// A timeout of the supervisor's own: a signal to all, a grace period, and the end.
func ExampleCmd_Run_timeout() {
	cmd := client.Command("sh", "-c", "trap 'echo saved; exit 0' INT; while :; do sleep 0.01; done")
	cmd.Stdout = os.Stdout
	cmd.Timeout, cmd.StopSignal = 2*time.Second, syscall.SIGINT
	fmt.Println(cmd.Run())
	// Output:
	// saved
	// timeout (exit status 0)
}

// One supervisor for many jobs.
func ExampleStart() {
	ctx := context.Background()
	conn, err := client.Start(ctx, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close() // ends all jobs
	outputs := make([]client.Capture, 3)
	var wg sync.WaitGroup
	for i := range outputs {
		wg.Go(func() {
			cmd := conn.CommandContext(ctx, "echo", "job", fmt.Sprint(i))
			cmd.Stdout = &outputs[i]
			if err := cmd.Run(); err != nil {
				log.Print(err)
			}
		})
	}
	wg.Wait()
	for i := range outputs {
		fmt.Print(outputs[i].String())
	}
	// Output:
	// job 0
	// job 1
	// job 2
}

// A program with many jobs reads of them in one place, and needs no goroutine for each.
func ExampleConn_Events() {
	conn, err := client.Start(context.Background(), client.Options{Events: 100})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	for _, status := range []string{"0", "1"} {
		cmd := conn.Command("sh", "-c", "exit "+status)
		cmd.Tags = map[string]string{"for": "example " + status}
		if err := cmd.Start(); err != nil {
			log.Fatal(err)
		}
	}
	ended := map[string]int{}
	for e := range conn.Events() {
		if p, ok := e.Params.(*protocol.JobEnded); ok {
			ended[p.Tags["for"]] = *p.Record.Exit.Code
		}
		if len(ended) == 2 {
			break
		}
	}
	fmt.Println(ended)
	// Output: map[example 0:0 example 1:1]
}

// mustStart starts a supervisor for an example.
func mustStart() *client.Conn {
	conn, err := client.Start(context.Background(), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// A session on a terminal: the shell is asked for its size, and is interrupted.
func ExamplePty() {
	cmd := client.Command("sh", "-c", "stty -echo; read x; stty size; exec sleep 1000")
	cmd.Pty = &client.Pty{Rows: 24, Cols: 80}
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	if err := cmd.Pty.Resize(30, 100); err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(cmd.Pty, "\r") // Enter
	// Without stty -echo, or before it, the terminal prints what is typed.
	for lines := bufio.NewScanner(cmd.Pty); lines.Scan(); {
		if lines.Text() != "" {
			fmt.Println(lines.Text())
			fmt.Fprint(cmd.Pty, "\x03") // Ctrl-C
		}
	}
	fmt.Println(cmd.Wait())
	// Output:
	// 30 100
	// signal: SIGINT
}

// The end of a log, from any offset, while the job runs and when it has ended.
func ExampleKept() {
	conn := mustStart()
	defer conn.Close()
	ctx := context.Background()
	kept := &client.Kept{Size: 1000}
	cmd := conn.Command("sh", "-c", "echo one; echo two; echo three")
	cmd.Stdout = kept
	if err := cmd.Run(); err != nil {
		log.Fatal(err)
	}
	last, err := kept.Output(ctx, -6)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q from offset %d of %d bytes\n", last.Data, last.Offset, last.Bytes)
	io.Copy(os.Stdout, kept.Reader(ctx, 4)) // as tail -f
	fmt.Println(cmd.Forget())
	// Output:
	// "three\n" from offset 8 of 14 bytes
	// two
	// three
	// <nil>
}

// A pipeline is one job: one limit, one end. It fails if one of its commands does.
func ExampleCmd_pipeTo() {
	cmd := client.Command("printf", "b\na\nb\n")
	cmd.PipeTo = []*client.Cmd{client.Command("sort"), client.Command("uniq", "-c")}
	out, err := cmd.Output()
	fmt.Println(strings.Fields(string(out)), err, len(cmd.Ended().Commands))
	// Output: [1 a 2 b] <nil> 3
}

// A server in the background that says when it is ready, as systemd-notify(1) does.
func ExampleCmd_Ready() {
	cmd := client.Command("sh", "-c", `perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0);
		($a = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/; send(S, "READY=1\nSTATUS=listening", 0, pack_sockaddr_un($a))'; exec sleep 1000`)
	cmd.Notify = []string{protocol.NotifyReady}
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	defer cmd.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ready, err := cmd.Ready(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ready.Status)
	cmd.Kill()
	// Output: listening
}

// KillWait returns when nothing is left, and says what there was.
func ExampleCmd_KillWait() {
	cmd := client.Command("sh", "-c", "sleep 1000 & echo; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		log.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	bufio.NewReader(out).ReadString('\n') // the sleep has been started
	killed, err := cmd.KillWait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(killed.Record.Cause, *killed.KilledTotal)
	cmd.Wait()
	// Output: killed 2
}
