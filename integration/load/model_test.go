package load

import (
	"encoding/json"
	"fmt"
)

// A message is any line of the server's.
type message struct {
	ID     int
	Method string
	Result *struct {
		Job, PID    int
		Controllers []string
	}
	Error *struct {
		Code    int
		Message string
	}
	Params struct {
		Job, PID int
		Main     bool
		Record   *struct {
			Cause string
			Exit  *struct{ Code *int }
			Error *string
			CPU   struct {
				Total *float64 `json:"total_s"`
			}
		}
	}
}

// A model is what an owner must have been told of its jobs:
//
//	answer ─> started ─> (stopped ─> continued)* ─> exited ─> ended
//
// where a job may as well end while it is stopped, and descendants and output are told of between started and ended.
type model struct {
	jobs  map[int]string // number: what was told last
	ended map[int]bool
	pids  map[int]int // of the main process
}

func newModel() *model {
	return &model{map[int]string{}, map[int]bool{}, map[int]int{}}
}

// before says after what a notification may come.
var before = map[string][]string{
	"started":   {"answer"},
	"stopped":   {"started", "continued"},
	"continued": {"started", "stopped"}, // of two stops in short order the kernel may keep one
	"exited":    {"started", "stopped", "continued"},
	"ended":     {"exited"},
}

// answered notes the answer to spawn.
func (m *model) answered(job, pid int) error {
	if m.jobs[job] != "" || m.ended[job] {
		return fmt.Errorf("job %d was answered before", job)
	}
	m.jobs[job], m.pids[job] = "answer", pid
	return nil
}

// told checks a notification.
func (m *model) told(n *message) error {
	job, last := n.Params.Job, m.jobs[n.Params.Job]
	fits := false
	for _, b := range before[n.Method] {
		fits = fits || b == last
	}
	switch {
	case n.Method == "exited" && !n.Params.Main, n.Method == "output":
		fits = last != "" && last != "answer" // nothing comes before started
		if fits {
			return nil
		}
	case n.Method == "exited" || n.Method == "started":
		fits = fits && n.Params.PID == m.pids[job]
	}
	if !fits {
		text, _ := json.Marshal(n)
		return fmt.Errorf("job %d, pid %d, was last %q: %s", job, m.pids[job], last, text)
	}
	m.jobs[job] = n.Method
	if n.Method == "ended" {
		m.ended[job] = true
		delete(m.jobs, job)
		delete(m.pids, job)
	}
	return nil
}
