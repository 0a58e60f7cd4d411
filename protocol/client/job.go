package client

import "github.com/seed-c1490a04/supervise/protocol"

// A job is what the loop knows of one.
type job struct {
	spawned  protocol.SpawnResult // before the call is done
	captures map[int]*Capture     // by descriptor
	waiters  int                  // the loop's: Waits that wait

	ended chan struct{} // closed when there is last, or err
	last  *protocol.JobEnded
	err   error
}

func (j *job) keep(e *protocol.JobEnded) {
	j.last = e
	for _, o := range e.Output {
		if c := j.captures[o.FD]; c != nil {
			c.end(o)
		}
	}
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
