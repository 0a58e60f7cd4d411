package client_test

import (
	"context"
	"errors"
	"fmt"
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
