package client

import "github.com/seed-c1490a04/supervise/protocol"

// A job is what the loop knows of one.
type job struct {
	spawned protocol.SpawnResult // before the call is done
	sinks   map[int]sink         // by descriptor
	waiters int                  // the loop's: Waits that wait

	ready     chan struct{} // closed when there is readiness
	readiness *protocol.JobReady

	ended chan struct{} // closed when there is last, or err
	last  *protocol.JobEnded
	err   error
}

func newJob(sinks map[int]sink) *job {
	return &job{sinks: sinks, ready: make(chan struct{}), ended: make(chan struct{})}
}

// take says whether a descriptor of the command's gets the output.
func (j *job) take(o *protocol.JobOutput) bool {
	s := j.sinks[o.FD]
	if s == nil {
		return false
	}
	if o.Text != nil {
		s.take([]byte(*o.Text))
	} else {
		s.take(o.Data)
	}
	_, event := s.(*Capture)
	return !event
}

// end keeps what is said at the end: last, or an error.
func (j *job) end(last *protocol.JobEnded, err error) {
	j.last, j.err = last, err
	counts := map[int]protocol.OutputEnd{}
	if last != nil {
		for _, o := range last.Output {
			counts[o.FD] = o
		}
	}
	for fd, s := range j.sinks {
		s.end(counts[fd], err)
	}
	close(j.ended)
}

// wait returns when the job has ended, or the connection. It tells the loop, which would
// otherwise let unread events hold up the end for ever.
func (c *Conn) wait(j *job) (*protocol.JobEnded, error) {
	select {
	case <-j.ended:
		return j.last, j.err
	default:
	}
	select {
	case c.waits <- j:
	case <-j.ended:
	}
	<-j.ended
	return j.last, j.err
}
