package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A job is one record with its samples. Where there are samples without a record, the job runs
// still, or was never told of: all but its times is not known.
type job struct {
	*protocol.Record
	place    place
	label    string // for people, on one line
	commands []protocol.CommandEnd
	points   []point // by time
	samples  int     // how many were read; points may be fewer
	peak     *point  // the sample that held most memory; nil: not known
	needed   *point  // the one that held most anonymous and shared memory; nil: not known
	busiest  *span   // in which most processors were in use; nil: not known
	alone    bool    // there is no record
	parent   *job    // the job in which it ran
	depth    int     // how many it is in
	holds    bool    // there are jobs in it
}

// newJob is the job of a record.
func newJob(at place, d decoded) *job {
	return &job{Record: d.record, place: at, label: label(d.record), commands: d.commands}
}

// label is the name of a job: what --name said, or its command.
func label(r *protocol.Record) string {
	if r.Name != nil && strings.TrimSpace(*r.Name) != "" {
		return printable(*r.Name)
	}
	if text := strings.Join(r.Argv, " "); strings.TrimSpace(text) != "" {
		return printable(text)
	}
	return "(no command)"
}

// command is the command line, for people.
func (j *job) command() string { return printable(strings.Join(j.Argv, " ")) }

// end is when nothing of the job was alive any more, by the monotonic clock.
func (j *job) end() time.Time { return j.Started.Add(seconds(j.WallS)) }

// seconds is a time of that many, and not more than Go can count.
func seconds(s float64) time.Duration { return time.Duration(min(s, math.MaxInt64/2e9) * 1e9) }

// byStart sorts jobs by their start; a job is before those in it.
func byStart(a, b *job) int {
	return cmp.Or(a.Started.Compare(b.Started.Time), cmp.Compare(a.depth, b.depth), cmp.Compare(a.label, b.label))
}

// Verdicts, by how much they matter.
const (
	good = iota
	unknown
	bad
)

// outcome says how a job ended, in a few words.
func (j *job) outcome() (text string, verdict int) {
	switch {
	case j.alone:
		return "no record", unknown
	case j.Cause == protocol.CauseOOM:
		return "out of memory", bad
	case j.Cause == protocol.CauseExited && j.Exit != nil && j.Exit.Code != nil:
		if *j.Exit.Code != 0 {
			return fmt.Sprintf("exit %d", *j.Exit.Code), bad
		}
		if j.oomKilled() {
			return "ok, OOM kill in it", bad
		}
		return "ok", good
	case j.Cause == protocol.CauseSignaled && j.Exit != nil && j.Exit.Signal != nil:
		return printable(*j.Exit.Signal), bad
	case j.Cause == "":
		return "not known", unknown
	}
	return strings.ReplaceAll(printable(string(j.Cause)), "-", " "), bad
}

func (j *job) oomKilled() bool { return j.OOMKilled != nil && *j.OOMKilled }

// throttled says whether the job is known to have waited for its quota of processor time.
func (j *job) throttled() bool { return j.CPU.ThrottledS != nil && *j.CPU.ThrottledS > 0 }

// notes are what people should know of the job, in sentences.
func (j *job) notes() (list []string) {
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if j.oomKilled() {
		say("%s", j.explainOOM())
	}
	if j.throttled() {
		say("Throttled for %s: its processes waited for the next period of the quota%s.", duration(*j.CPU.ThrottledS), ofPeriods(j.CPU))
	}
	if j.LeftoversTotal != nil && *j.LeftoversTotal > 0 {
		say("%s outlived the main process%s.", count(*j.LeftoversTotal, "process", "processes"), leftoverNames(j.Leftovers))
	}
	for _, u := range j.Unenforced {
		say("Not enforced: %s (%s).", printable(u.Name), printable(u.Reason))
	}
	if j.Error != nil {
		say("Supervise says: %s.", strings.TrimSuffix(printable(*j.Error), "."))
	}
	if j.alone {
		say("There are samples of this job in %s, and no record: it runs still, or its record was not given.", printable(j.place.file))
	}
	return list
}

// explainOOM says whose memory it was.
func (j *job) explainOOM() string {
	text := "A process of the job was killed for want of memory"
	if j.OOM == nil {
		return text + "."
	}
	if n := j.OOM.Kills; n != nil {
		text = count(int(min(*n, math.MaxInt32)), "process of the job was", "processes of the job were") + " killed for want of memory"
	}
	whose := map[string]string{
		protocol.OOMByJob: "the job's own limit", protocol.OOMByAncestor: "the limit of a cgroup above it",
		protocol.OOMByOutside: "a cgroup out of sight, or the machine", protocol.OOMByMachine: "the whole machine",
		protocol.OOMByDaemon: "a decision of systemd-oomd",
	}[j.OOM.By]
	if whose != "" {
		text += ": " + whose
	}
	return text + "."
}

func ofPeriods(c protocol.CPU) string {
	if c.Periods == nil || c.ThrottledPeriods == nil || *c.Periods == 0 {
		return ""
	}
	return fmt.Sprintf(", in %d of %d periods", *c.ThrottledPeriods, *c.Periods)
}

// leftoverNames are those of the first few.
func leftoverNames(list []protocol.Leftover) string {
	var names []string
	for _, l := range list {
		if name := printable(l.Comm); !slices.Contains(names, name) && name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	if len(names) > 5 {
		names = append(names[:5], "…")
	}
	return ": " + strings.Join(names, ", ")
}
