package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// redeliverAfter is when a job whose worker is not heard of is given to another one.
const redeliverAfter = 5 * time.Second

// Streams are the two of JetStream that make the queues.
type Streams struct {
	js            jetstream.JetStream
	jobs, results jetstream.Stream
	returns       jetstream.KeyValue // how often a message of jobs was given back, by its number there
}

// returnsKept is how long it is known that a message was given back, after the last time.
const returnsKept = 30 * 24 * time.Hour

// openStreams finds the streams, or makes them. Each message of a new one is kept by so many servers.
func openStreams(ctx context.Context, nc *nats.Conn, replicas int) (*Streams, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	s := &Streams{js: js}
	// A message goes when its job is done: JetStream gives it to one consumer, again and again until that says so.
	if s.jobs, err = openStream(ctx, js, jetstream.StreamConfig{
		Name: "JOBS", Subjects: []string{"jobs.>"}, Retention: jetstream.WorkQueuePolicy, Replicas: replicas,
	}); err != nil {
		return nil, fmt.Errorf("the stream of jobs: %w", err)
	}
	// The second result of a job is refused, however late it comes.
	if s.results, err = openStream(ctx, js, jetstream.StreamConfig{
		Name: "RESULTS", Subjects: []string{"results.>"}, Replicas: replicas,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
	}); err != nil {
		return nil, fmt.Errorf("the stream of results: %w", err)
	}
	s.returns, err = js.KeyValue(ctx, "RETURNS")
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		s.returns, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "RETURNS", TTL: returnsKept, Replicas: replicas})
	}
	if err != nil {
		return nil, fmt.Errorf("the bucket of returns: %w", err)
	}
	return s, nil
}

func openStream(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return js.CreateStream(ctx, c) // which another client may do at the same moment, in the same way
	}
	return s, err
}

// submit puts jobs into a queue. One whose ID is there already, or was in the last two minutes, is not put there again.
func (s *Streams) submit(ctx context.Context, queue string, jobs []*Job) error {
	if err := checkName("queue", queue); err != nil {
		return err
	}
	var sent []jetstream.PubAckFuture
	for _, j := range jobs {
		if err := j.check(); err != nil {
			return err
		}
		data, err := json.Marshal(j)
		if err != nil {
			return err
		}
		ack, err := s.js.PublishAsync("jobs."+queue, data, jetstream.WithMsgID(queue+"."+j.ID))
		if err != nil {
			return err
		}
		sent = append(sent, ack)
	}
	for i, ack := range sent {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("job %s: %w", jobs[i].ID, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// consumer is what the workers of a queue share. At most limit of its jobs run at a time, on all of them together; 0 is any number,
// and a negative limit leaves what another worker has set.
func (s *Streams) consumer(ctx context.Context, queue string, limit int) (jetstream.Consumer, error) {
	if err := checkName("queue", queue); err != nil {
		return nil, err
	}
	if limit < 0 {
		c, err := s.jobs.Consumer(ctx, queue)
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return c, err
		}
	}
	if limit <= 0 {
		limit = -1 // JetStream's word for any number
	}
	return s.jobs.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: queue, FilterSubject: "jobs." + queue, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: redeliverAfter, MaxAckPending: limit,
	})
}

// attempt says how often a message was given to a worker that did not give it back. Where the bucket cannot be asked, each counts.
func (s *Streams) attempt(ctx context.Context, about *jetstream.MsgMetadata) int {
	n := int(about.NumDelivered)
	if n > 1 {
		if returned, err := s.returned(ctx, about); err == nil {
			n -= returned
		}
	}
	return max(n, 1) // the stream may have been made anew
}

// returned says how often a message was given back.
func (s *Streams) returned(ctx context.Context, about *jetstream.MsgMetadata) (int, error) {
	entry, err := s.returns.Get(ctx, returnsKey(about))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(entry.Value()))
}

func returnsKey(about *jetstream.MsgMetadata) string {
	return strconv.FormatUint(about.Sequence.Stream, 10)
}

// giveBack has another worker get a message at once. JetStream counts that as an attempt, so that it is written down that it was none;
// if that fails, it was one.
func (s *Streams) giveBack(m jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(context.Background(), redeliverAfter)
	defer cancel()
	about, err := m.Metadata()
	var n int
	if err == nil {
		n, err = s.returned(ctx, about)
	}
	if err == nil {
		_, err = s.returns.PutString(ctx, returnsKey(about), strconv.Itoa(n+1))
	}
	return errors.Join(err, m.Nak())
}

// errDone is what put returns for a job that has a result.
var errDone = errors.New("the job has a result")

// put puts the result of a job into the stream, and returns when all servers that are to have it do.
func (s *Streams) put(ctx context.Context, queue string, r *Result) error {
	err := s.publish(ctx, queue, r)
	if errors.Is(err, nats.ErrMaxPayload) { // the job may be as large as a message, and its output comes to that
		err = s.publish(ctx, queue, r.brief())
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Description == "maximum messages per subject exceeded" {
		return errDone
	}
	return err
}

func (s *Streams) publish(ctx context.Context, queue string, r *Result) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.js.Publish(ctx, "results."+queue+"."+r.ID, data)
	return err
}

// each calls a function for every result of a queue, as they come, until it returns false.
func (s *Streams) each(ctx context.Context, queue string, f func(*Result) bool) error {
	c, err := s.results.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"results." + queue + ".>"}})
	if err != nil {
		return err
	}
	messages, err := c.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		m, err := messages.Next()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		r := &Result{}
		if err := json.Unmarshal(m.Data(), r); err != nil {
			return fmt.Errorf("%s: %w", m.Subject(), err)
		}
		if !f(r) {
			return nil
		}
	}
}
