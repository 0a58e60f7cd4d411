package clienttest_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"syscall"

	"github.com/seed-c1490a04/supervise/protocol/client"
	"github.com/seed-c1490a04/supervise/protocol/client/clienttest"
)

// A program that builds, and its test: make fails, and a server is stopped.
func Example() {
	ctx := context.Background()
	srv := clienttest.NewServer()
	srv.HandleCommand(clienttest.Script{Stdout: "cc a.c\n", Exit: 2}.Run, "make", "-j8")
	srv.Handle("httpd", func(p *clienttest.Process) clienttest.Exit {
		stop := p.Notify(syscall.SIGTERM)
		io.WriteString(p.Stdout, "listening\n")
		<-stop
		return 0
	})
	conn, err := srv.Connect(ctx, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	out, err := conn.Command("make", "-j8").Output()
	fmt.Printf("%q, %v\n", out, err)

	cmd := conn.Command("httpd")
	log, _ := cmd.StdoutPipe()
	cmd.Start()
	io.ReadFull(log, make([]byte, len("listening\n")))
	cmd.Signal(syscall.SIGTERM)
	fmt.Println(cmd.Wait())
	// Output:
	// "cc a.c\n", exit status 2
	// <nil>
}
