package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Job is what a message of the stream of jobs says. Its subject is jobs.QUEUE, its Nats-Msg-Id the ID.
type Job struct {
	ID      string            `json:"id"` // letters, digits, - and _
	Argv    []string          `json:"argv"`
	Env     []string          `json:"env,omitempty"` // besides the worker's
	Dir     string            `json:"dir,omitempty"`
	Limits  map[string]string `json:"limits,omitempty"`    // names and values of supervise run's flags
	Timeout float64           `json:"timeout_s,omitempty"` // seconds; 0: none
}

// A Result is what a message of the stream of results says. Its subject is results.QUEUE.ID, of which there is one message ever.
type Result struct {
	ID       string           `json:"id"`
	Worker   string           `json:"worker"`
	Attempt  int              `json:"attempt"`            // the first is 1
	Output   string           `json:"output"`             // the last outputSize bytes of standard output and error
	Record   *protocol.Record `json:"record"`             // null if the job could not be started
	Error    string           `json:"error,omitempty"`    // why it could not, or what is left out here
	GivenUp  bool             `json:"given_up,omitempty"` // it was given to maxAttempts workers, and none came to its end
	Finished time.Time        `json:"finished"`
}

// brief is a result without what makes it large.
func (r *Result) brief() *Result {
	short := *r
	short.Output, short.Error = "", "the output and the arguments are left out: the servers take no message of that size"
	if r.Record != nil {
		record := *r.Record
		record.Argv, record.Leftovers = nil, nil
		short.Record = &record
	}
	return &short
}

// outputSize bounds what is kept of a job's output.
const outputSize = 64 << 10

// maxAttempts is how often a job is given to a worker. One that ends its workers is not tried for ever.
const maxAttempts = 20

// nameOf is what a queue and a job may be called: they are parts of a subject.
var nameOf = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// checkName says what is wrong with a name.
func checkName(what, name string) error {
	if !nameOf.MatchString(name) {
		return fmt.Errorf("%s %q: want letters, digits, - and _, at most 100", what, name)
	}
	return nil
}

// parseJob reads a message.
func parseJob(data []byte) (*Job, error) {
	j := &Job{}
	if err := json.Unmarshal(data, j); err != nil {
		return nil, fmt.Errorf("the message is no job: %w", err)
	}
	return j, j.check()
}

func (j *Job) check() error {
	if err := checkName("id", j.ID); err != nil {
		return err
	}
	switch {
	case len(j.Argv) == 0:
		return errors.New("argv is empty")
	case j.Timeout < 0 || j.Timeout > 1e9:
		return fmt.Errorf("timeout_s %v: want 0 to 1e9", j.Timeout)
	}
	return nil
}
