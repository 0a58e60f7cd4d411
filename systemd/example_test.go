package systemd_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/seed-c1490a04/supervise/systemd"
)

// A process has itself put into a delegated cgroup. It needs a systemd manager.
func ExampleHost_Place() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d, err := systemd.Here().Place(ctx, systemd.Request{PIDs: []int{os.Getpid()}, Controllers: []string{"memory", "pids"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.Cgroup, "was found as", d.Origin)
}
