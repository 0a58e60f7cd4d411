// Server starts a server, waits until it is ready (sd_notify(3)), runs a command, and stops the
// server. Nothing of it is left, whatever the command does:
//
//	server './httpd --port 8080' 'curl -f localhost:8080'
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"github.com/seed-c1490a04/supervise/protocol/client"
)

// Times that a server may take.
const (
	toBeReady = 30 * time.Second
	toStop    = 5 * time.Second
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: server SERVER COMMAND")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(server, command string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	conn, err := client.Start(ctx, client.Options{})
	if err != nil {
		return err
	}
	defer conn.Close() // ends the server as well
	background, log, err := start(ctx, conn, server)
	if err != nil {
		return err
	}
	defer background.Wait()
	cmd := conn.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	killed, stopping := background.StopWait(ctx, toStop)
	if err != nil {
		last, _ := log.Output(ctx, -1000)
		return fmt.Errorf("%s: %w; the end of the server's log:\n%s", command, err, last.Data)
	}
	if len(killed.Killed) > 0 {
		fmt.Fprintf(os.Stderr, "server: %d processes did not stop by themselves\n", len(killed.Killed))
	}
	return stopping
}

// start starts a server, of whose log the end is kept, and waits until it is ready.
func start(ctx context.Context, conn *client.Conn, command string) (*client.Cmd, *client.Kept, error) {
	log := &client.Kept{Size: 1 << 20}
	cmd := conn.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Notify = []string{protocol.NotifyReady}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	patience, cancel := context.WithTimeout(ctx, toBeReady)
	defer cancel()
	ready, err := cmd.Ready(patience)
	if err != nil {
		cmd.Kill()
		err = errors.Join(err, cmd.Wait())
		last, _ := log.Output(ctx, -1000)
		return nil, nil, fmt.Errorf("%s: %w\n%s", command, err, last.Data)
	}
	fmt.Fprintf(os.Stderr, "server: process %d is ready: %s\n", ready.PID, ready.Status)
	return cmd, log, nil
}
