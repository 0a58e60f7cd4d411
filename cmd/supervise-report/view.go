package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A jobView is the section of one job.
type jobView struct {
	Anchor    string
	Collapsed bool
	Name      string
	Outcome   string
	Bad       bool
	Command   string
	Facts     []fact
	Notes     []string
	Peak      string // where it was, and what was running then
	Charts    []figure
	Strip     *figure // the phases
	Sampling  string
	Phases    []phaseView
	Limits    []fact
	Commands  []fact // of a pipeline
}

// A phaseView is a row of the table of phases.
type phaseView struct {
	Name  string
	Cells []string
}

// viewOf is the section of a job; all are the jobs that ran beside it.
func viewOf(big layout, j *job, f frame, all []*job) jobView {
	v := jobView{Name: short(j.label, 200), Command: short(j.command(), 2000), Facts: jobFacts(j), Notes: j.notes(), Peak: peakSentence(j, all)}
	outcome, verdict := j.outcome()
	v.Outcome, v.Bad = outcome, verdict == bad
	if v.Command == v.Name {
		v.Command = ""
	}
	list := panels(j, f)
	if len(list) > 0 && len(j.Phases) > 1 {
		strip := figureOf(big, "", "", nil, func(l layout) *chart { return phaseStrip(l, j, f) })
		v.Strip = &strip
	}
	for i, p := range list {
		last := i == len(list)-1
		v.Charts = append(v.Charts, figureOf(big, p.title, p.note, p.keys, func(l layout) *chart { return p.draw(l, last) }))
	}
	v.Sampling = sampling(j, list)
	if n := len(j.Phases); n > mostPhases {
		v.Sampling += fmt.Sprintf(" The first %d of %s phases are shown.", mostPhases, grouped(n))
	}
	for _, p := range j.phases() {
		v.Phases = append(v.Phases, phaseView{phaseName(p.Name), []string{
			duration(p.WallS), duration(fraction(p.CPU.TotalS)), decimal(fraction(p.CPU.TotalS) / p.WallS), size(whole(p.MaxMemory)), size(whole(p.MaxAnon)),
			size(whole(p.IO.ReadBytes) + whole(p.IO.WriteBytes)), duration(fraction(p.Pressure.CPU.SomeS)), duration(fraction(p.Pressure.Memory.SomeS)), duration(fraction(p.Pressure.IO.SomeS)),
		}})
	}
	for _, l := range j.Limits {
		v.Limits = append(v.Limits, fact{Name: printable(l.Name), Value: printable(l.File), Note: printable(l.Value)})
	}
	for i, c := range j.commands {
		end := notKnown
		if c.Exit != nil && c.Exit.Code != nil {
			end = fmt.Sprintf("exit %d", *c.Exit.Code)
		} else if c.Exit != nil && c.Exit.Signal != nil {
			end = printable(*c.Exit.Signal)
		}
		v.Commands = append(v.Commands, fact{Name: fmt.Sprintf("command %d", i+1), Value: end})
	}
	return v
}

// mostPhases is how many phases of a job are shown.
const mostPhases = 100

// phases are those that are shown.
func (j *job) phases() []protocol.Phase { return j.Phases[:min(len(j.Phases), mostPhases)] }

// phaseName is for people; the first phase has none.
func phaseName(name string) string {
	if name == "" {
		return "(before the first mark)"
	}
	return short(printable(name), 200)
}

// sampling says what the charts are drawn from, and why one is missing.
func sampling(j *job, list []panel) string {
	switch {
	case j.samples == 0 && len(j.Phases) > 0 && len(list) > 0:
		return "There are no samples: the charts have the mean of each phase. Run the job with --samples FILE, and give that file too."
	case j.samples == 0:
		return "There are no samples of this job, and so no charts over its time: run it with --samples FILE, and give that file too."
	}
	var parts []string
	if j.samples > len(j.points) {
		parts = append(parts, fmt.Sprintf("Each step of the charts is %d of %s samples: rates are means, memory and processes the highest of them.",
			(j.samples+len(j.points)-1)/len(j.points), grouped(j.samples)))
	} else {
		parts = append(parts, fmt.Sprintf("From %s.", count(j.samples, "sample", "samples")))
	}
	var missing []string
	for _, want := range []string{"CPU", "Memory", "I/O", "Waiting", "Processes"} {
		if !slices.ContainsFunc(list, func(p panel) bool { return p.title == want }) {
			missing = append(missing, strings.ToLower(want[:1])+want[1:])
		}
	}
	if len(missing) > 0 {
		text := strings.NewReplacer("cPU", "CPU", "i/O", "I/O").Replace(strings.Join(missing, ", "))
		parts = append(parts, "Not known, and so not drawn: "+text+". The job had no controller for it, or the kernel has no numbers.")
	}
	return strings.Join(parts, " ")
}

// jobFacts are the numbers of a job.
func jobFacts(j *job) []fact {
	outcome, _ := j.outcome()
	cpu := fraction(j.CPU.TotalS)
	return []fact{
		{"Outcome", outcome, printable(string(j.Containment))},
		{"Time", duration(j.WallS), ""},
		{"CPU time", duration(cpu), note(processors(cpu/j.WallS), " on average")},
		{"Peak memory", size(peakMemory(j)), memoryNote(j)},
		{"I/O", size(transferred(j)), note(size(whole(j.IO.WriteBytes)), " of it written")},
		{"Waited", duration(waited(j)), waitNote(j)},
		{"Processes", decimal(whole(j.Pids.Peak)), reapedNote(j)},
	}
}

// processors is a number of them.
func processors(f float64) string {
	switch text := decimal(f); text {
	case notKnown:
		return text
	case "1":
		return "1 processor"
	default:
		return text + " processors"
	}
}

// note is a text with a unit; "" where it is not known.
func note(text, unit string) string {
	if text == notKnown {
		return ""
	}
	return text + unit
}

func reapedNote(j *job) string {
	if j.alone {
		return ""
	}
	return grouped(j.Reaped) + " reaped"
}

func memoryNote(j *job) string {
	limit := j.limit("memory.max")
	peak := peakMemory(j)
	switch {
	case known(limit) && known(peak):
		return percent(peak/limit) + " of " + size(limit)
	case known(limit):
		return "limit " + size(limit)
	case j.Memory.SampledMax != nil && j.Memory.SampledMax.AnonBytes != nil:
		return size(whole(j.Memory.SampledMax.AnonBytes)) + " anonymous"
	}
	return ""
}

// waitNote names what was waited for most.
func waitNote(j *job) string {
	shares := waitShares(j)
	best := -1
	for i, s := range shares {
		if known(s) && (best < 0 || s > shares[best]) {
			best = i
		}
	}
	if best < 0 || shares[best] == 0 {
		return ""
	}
	return "for " + resources[best] + ", " + percent(shares[best]) + " of the time"
}

// peakSentence says where the peak of a job was, and what was running then. What a job needs is not its page
// cache, so the most of the rest is told as well.
func peakSentence(j *job, all []*job) string {
	if j.peak == nil {
		return busiestSentence(j, all)
	}
	p := j.peak
	text := fmt.Sprintf("Most memory at %s: %s", duration(p.at), size(p.current))
	if known(p.anon) {
		text += fmt.Sprintf(", %s of it anonymous and shared, %s page cache", size(p.anon), size(p.file))
	}
	text += then(j, p, all) + "."
	if n := j.needed; n != nil && n.at != p.at {
		text += fmt.Sprintf(" Most without page cache, anonymous and shared, at %s: %s", duration(n.at), size(n.anon)) + then(j, n, all) + "."
	}
	return text
}

// busiestSentence is that of a job of which there is no memory.
func busiestSentence(j *job, all []*job) string {
	s := j.busiest
	if s == nil {
		return ""
	}
	at := (s.from + s.to) / 2
	text := fmt.Sprintf("Most processors in use from %s to %s: %s", duration(s.from), duration(s.to), decimal(s.cpu))
	return text + then(j, &point{at: at, pids: unknownNumber}, all) + "."
}

// then says what was running at a point.
func then(j *job, p *point, all []*job) string {
	var list []string
	if name := phaseAt(j, p.at); name != "" {
		list = append(list, "phase "+name)
	}
	if known(p.pids) {
		list = append(list, count(int(p.pids), "process", "processes"))
		for _, s := range j.spans() {
			if s.from < p.at && p.at <= s.to && known(s.cpu) {
				list = append(list, processors(s.cpu)+" in use")
			}
		}
	}
	for _, w := range []struct {
		where string
		jobs  []*job
	}{{"in it ", within(j, all)}, {"beside it ", beside(j, all)}} {
		if names := namesAt(w.jobs, j.Started.Add(seconds(p.at))); names != "" {
			list = append(list, w.where+names)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return "; then: " + strings.Join(list, ", ")
}

// phaseAt is the phase at a moment.
func phaseAt(j *job, at float64) string {
	for _, p := range slices.Backward(j.Phases) {
		if from := p.Started.Sub(j.Started.Time).Seconds(); from <= at+1e-9 && p.Name != "" {
			return phaseName(p.Name)
		}
	}
	return ""
}

// isIn says whether a job is in another, at whatever depth.
func (j *job) isIn(o *job) bool {
	for p := j.parent; p != nil; p = p.parent {
		if p == o {
			return true
		}
	}
	return false
}

// within are the jobs in one.
func within(j *job, all []*job) (list []*job) {
	for _, o := range all {
		if j.holds && o.isIn(j) {
			list = append(list, o)
		}
	}
	return list
}

// beside are the jobs that are neither in one nor around it.
func beside(j *job, all []*job) (list []*job) {
	for _, o := range all {
		if o != j && !o.isIn(j) && !j.isIn(o) {
			list = append(list, o)
		}
	}
	return list
}

// namesAt are the names of the jobs that ran at a moment, of some of them if they are many.
func namesAt(jobs []*job, moment time.Time) string {
	var names []string
	n := 0
	for _, o := range jobs {
		if !o.Started.After(moment) && o.end().After(moment) {
			if n++; n <= 4 {
				names = append(names, short(o.label, 40))
			}
		}
	}
	if n > len(names) {
		names = append(names, fmt.Sprintf("and %s more", grouped(n-len(names))))
	}
	return strings.Join(names, ", ")
}

// choose are the jobs that have a section: those with samples or phases, then the ones that went wrong,
// then the longest; in the order of their start.
func choose(jobs []*job, most int) []*job {
	rank := func(j *job) int {
		_, verdict := j.outcome()
		n := 0
		if len(j.points) > 0 || len(j.Phases) > 0 {
			n += 2
		}
		if verdict == bad {
			n++
		}
		return n
	}
	list := slices.Clone(jobs)
	slices.SortStableFunc(list, func(a, b *job) int { return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(b.WallS, a.WallS)) })
	list = list[:min(most, len(list))]
	slices.SortStableFunc(list, byStart)
	return list
}
