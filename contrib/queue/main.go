// Queue is an example of a queue of jobs on several machines: NATS JetStream has the messages, supervise runs the jobs.
//
//	queue serve   [--port N] [--dir D] [--name N --cluster-port N --routes URL,URL]    a server, alone or of a cluster
//	queue submit  [--nats URL] --queue Q [--id ID] [--timeout D] [--limit NAME=VALUE]... -- CMD ARG...
//	queue submit  [--nats URL] --queue Q <FILE                                         jobs as JSON, one in a line
//	queue work    [--nats URL] --queue Q [--slots N] [--at-once N]                     a worker
//	queue results [--nats URL] --queue Q [-n N]                                        results as JSON, one in a line
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// commands by their names.
var commands = map[string]func(ctx context.Context, args []string) error{
	"serve": serve, "submit": submit, "work": work, "results": results,
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("queue: ")
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		log.Print("want one of: queue serve, submit, work, results; -h behind that lists its flags")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := commands[os.Args[1]](ctx, os.Args[2:]); err != nil {
		log.Fatalf("%s: %v", os.Args[1], err)
	}
}

func serve(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	s := &Server{}
	f.IntVar(&s.Port, "port", 4222, "for clients; -1: any")
	f.StringVar(&s.StoreDir, "dir", "queue.data", "directory of the streams")
	f.StringVar(&s.Name, "name", "queue", "of the server; each of a cluster has its own")
	f.IntVar(&s.ClusterPort, "cluster-port", 6222, "for the other servers of a cluster")
	routes := f.String("routes", "", "URLs of the cluster ports, with commas between; none: no cluster")
	f.Parse(args)
	if *routes != "" {
		s.Routes = strings.Split(*routes, ",")
	}
	ns, err := s.start()
	if err != nil {
		return err
	}
	fmt.Println(ns.ClientURL())
	<-ctx.Done()
	ns.Shutdown()
	return nil
}

// A link is what the clients' commands have in common.
type link struct {
	url, queue string
	replicas   int
}

func (l *link) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ExitOnError)
	f.StringVar(&l.url, "nats", nats.DefaultURL, "URLs of the servers, with commas between")
	f.StringVar(&l.queue, "queue", "default", "name of the queue")
	f.IntVar(&l.replicas, "replicas", 1, "how many servers keep each message, if the streams are made by this")
	return f
}

// open connects, and waits for servers that are not there yet.
func (l *link) open(ctx context.Context) (*nats.Conn, *Streams, error) {
	nc, err := nats.Connect(l.url, nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		return nil, nil, err
	}
	for said := false; ; said = true {
		s, err := openStreams(ctx, nc, l.replicas)
		if err == nil {
			return nc, s, nil
		}
		if !said && ctx.Err() == nil {
			log.Printf("waiting for %s: %v", l.url, err)
		}
		select {
		case <-ctx.Done():
			nc.Close()
			return nil, nil, err
		case <-time.After(200 * time.Millisecond): // a cluster without a leader yet
		}
	}
}

// pairs is a flag that may be given several times.
type pairs map[string]string

func (p pairs) String() string { return "" }

func (p pairs) Set(v string) error {
	name, value, ok := strings.Cut(v, "=")
	if !ok {
		return fmt.Errorf("want NAME=VALUE")
	}
	p[name] = value
	return nil
}

func submit(ctx context.Context, args []string) error {
	var l link
	f := l.flags("submit")
	j := &Job{ID: nuid.Next(), Limits: pairs{}}
	f.StringVar(&j.ID, "id", j.ID, "of the job; one that was seen in the last two minutes is not taken again")
	f.Var(pairs(j.Limits), "limit", "NAME=VALUE, as memory-max=1G; may be there several times")
	timeout := f.Duration("timeout", 0, "0: none")
	f.Parse(args)
	jobs := []*Job{j}
	if j.Argv = f.Args(); len(j.Argv) == 0 {
		var err error
		f.Visit(func(given *flag.Flag) {
			if slices.Contains([]string{"id", "limit", "timeout"}, given.Name) {
				err = fmt.Errorf("--%s is for a job of the command line; those of standard input have their own", given.Name)
			}
		})
		if err == nil {
			jobs, err = readJobs(os.Stdin)
		}
		if err != nil {
			return err
		}
	}
	j.Timeout = timeout.Seconds()
	nc, streams, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := streams.submit(ctx, l.queue, jobs); err != nil {
		return err
	}
	for _, j := range jobs {
		fmt.Println(j.ID)
	}
	return nil
}

// readJobs reads jobs, one in a line.
func readJobs(r io.Reader) (jobs []*Job, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		j, err := parseJob(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		jobs = append(jobs, j)
	}
	return jobs, lines.Err()
}

func work(ctx context.Context, args []string) error {
	var l link
	f := l.flags("work")
	host, _ := os.Hostname()
	w := &Worker{}
	f.StringVar(&w.Name, "name", fmt.Sprintf("%s-%d", host, os.Getpid()), "of the worker, in results")
	f.IntVar(&w.Slots, "slots", runtime.NumCPU(), "jobs at a time")
	f.IntVar(&w.Limit, "at-once", -1, "jobs of the queue at a time, on all workers; 0: any number; -1: as it was set last")
	f.Parse(args)
	if w.Slots < 1 {
		return fmt.Errorf("--slots %d: want 1 or more", w.Slots)
	}
	nc, streams, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	w.Queue, w.streams = l.queue, streams
	return w.run(ctx)
}

func results(ctx context.Context, args []string) error {
	var l link
	f := l.flags("results")
	n := f.Int("n", 0, "end after so many; 0: never")
	f.Parse(args)
	nc, streams, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	out, seen := json.NewEncoder(os.Stdout), 0
	return streams.each(ctx, l.queue, func(r *Result) bool {
		seen++
		return out.Encode(r) == nil && seen != *n
	})
}
