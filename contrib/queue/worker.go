package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-c1490a04/supervise/protocol/client"
)

// A Worker runs jobs of one queue, so many at a time.
//
//	JOBS ── one message ──> slot ── spawn ──> supervise serve ── job
//	  ^                      │                                    │
//	  └── in progress, ack ──┤ <──────────── record ──────────────┘
//	                         └── result ──> RESULTS
//
// A slot takes a message when it is free, so that no job waits at a worker that is busy. The job is acknowledged when its result is
// in the stream: if the worker dies before that, its jobs end with it, and are given to another worker.
type Worker struct {
	Name    string
	Queue   string
	Slots   int
	Limit   int // of the queue: see Streams.consumer
	streams *Streams
}

// run works until the context is done, and then gives back what it has begun.
func (w *Worker) run(ctx context.Context) error {
	consumer, err := w.streams.consumer(ctx, w.Queue, w.Limit)
	if err != nil {
		return fmt.Errorf("queue %s: %w", w.Queue, err)
	}
	supervisor, err := client.Start(ctx, client.Options{Stderr: os.Stderr})
	if err != nil {
		return err
	}
	defer supervisor.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var slots sync.WaitGroup
	for range w.Slots {
		slots.Go(func() {
			for ctx.Err() == nil {
				if err := w.next(ctx, consumer, supervisor); err != nil {
					cancel(err)
				}
			}
		})
	}
	slots.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// next takes one message and sees to it. An error is one that ends the worker.
func (w *Worker) next(ctx context.Context, consumer jetstream.Consumer, supervisor *client.Conn) error {
	m, err := consumer.Next(jetstream.FetchContext(ctx))
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, jetstream.ErrNoMessages), errors.Is(err, nats.ErrTimeout): // there was none for a while
		return nil
	case err != nil: // a server is down: another one will say more
		log.Printf("waiting for a job: %v", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		return nil
	}
	stop := keep(m)
	r, err := w.result(ctx, m, supervisor)
	stop()
	switch {
	case err == nil && errors.Is(context.Cause(ctx), context.Canceled): // the worker was told to end
		if err := w.streams.giveBack(m); err != nil {
			log.Printf("job %s goes to another worker, and has one attempt less: %v", r.ID, err)
		}
		return nil
	case err != nil || ctx.Err() != nil:
		m.Nak() // another worker need not wait
		return err
	}
	if err := w.streams.put(ctx, w.Queue, r); err != nil && !errors.Is(err, errDone) {
		log.Printf("job %s: its result was not taken, and it will run again: %v", r.ID, err)
		m.Nak()
		return nil
	}
	if err := m.DoubleAck(ctx); err != nil {
		log.Printf("job %s is done, and may be given out once more: %v", r.ID, err)
	}
	return nil
}

// keep says that a job is in progress, until it is stopped.
func keep(m jetstream.Msg) (stop func()) {
	done := make(chan struct{})
	go func() {
		for tick := time.NewTicker(redeliverAfter / 4); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				m.InProgress()
			}
		}
	}()
	return func() { close(done) }
}

// result runs the job of a message. An error is one of the supervisor's, and says nothing about the job.
func (w *Worker) result(ctx context.Context, m jetstream.Msg, supervisor *client.Conn) (*Result, error) {
	about, err := m.Metadata()
	if err != nil {
		return nil, err
	}
	r := &Result{Worker: w.Name, Attempt: w.streams.attempt(ctx, about)}
	defer func() { r.Finished = time.Now() }()
	j, err := parseJob(m.Data())
	if err != nil {
		r.ID, r.Error = fmt.Sprintf("message-%d", about.Sequence.Stream), err.Error()
		return r, nil
	}
	r.ID = j.ID
	if r.Attempt > maxAttempts {
		r.GivenUp, r.Error = true, fmt.Sprintf("%d workers have begun it, and none came to its end", maxAttempts)
		return r, nil
	}
	return r, r.run(ctx, j, supervisor)
}

// run runs a job, and fills in what became of it.
func (r *Result) run(ctx context.Context, j *Job, supervisor *client.Conn) error {
	var output tail
	cmd := supervisor.CommandContext(ctx, j.Argv[0], j.Argv[1:]...)
	cmd.Name, cmd.Dir, cmd.Limits = j.ID, j.Dir, j.Limits
	cmd.Timeout = time.Duration(j.Timeout * float64(time.Second))
	cmd.Stdout, cmd.Stderr = &output, &output
	if len(j.Env) > 0 {
		cmd.Env = append(os.Environ(), j.Env...)
	}
	err := cmd.Run()
	if errors.Is(err, client.ErrLost) { // which a job hears of before supervisor.Err does
		return err
	}
	r.Output = string(bytes.ToValidUTF8(output.last, []byte("\uFFFD")))
	if r.Record = cmd.Record(); r.Record == nil && err != nil {
		r.Error = err.Error()
	}
	return nil
}

// A tail keeps the last outputSize bytes that are written to it.
type tail struct{ last []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	if over := len(t.last) - outputSize; over > 0 {
		t.last = t.last[:copy(t.last, t.last[over:])]
	}
	return len(p), nil
}
