package record

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Summary is the record for people, a few aligned lines, as --summary prints them. Memory
// and I/O are left out where they are not known; a time is then called unknown.
func Summary(r *protocol.Record) string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", key+":", cli.Printable(fmt.Sprintf(format, args...)))
	}
	line("command", "%s", quoted(r.Argv))
	line("ended", "%s", ending(r))
	line("wall", "%s", seconds(&r.WallS))
	line("cpu", "user %s, system %s", seconds(r.CPU.UserS), seconds(r.CPU.SystemS))
	// memory.peak is there since Linux 5.19.
	if r.Memory.PeakBytes != nil {
		line("memory", "%s at most, page cache included", Amount(r.Memory.PeakBytes))
	}
	if s := sizeBy(&r.Memory); s != "" {
		line("size by", "%s", s)
	}
	if r.IO.ReadBytes != nil {
		line("io", "%s read, %s written", Amount(r.IO.ReadBytes), Amount(r.IO.WriteBytes))
	}
	line("processes", "%d reaped%s", r.Reaped, pids(r))
	for _, p := range r.Phases {
		line("phase", "%s: wall %s, cpu %s", quote(p.Name), seconds(&p.WallS), seconds(p.CPU.TotalS))
	}
	if b := bottleneck(r); b != "" {
		line("bottleneck", "%s", b)
	}
	switch {
	case r.OOM != nil:
		line("oom", "%s", outOfMemory(r.OOM))
	case r.OOMKilled == nil && r.Cause == protocol.CauseSignaled && wasKilled(r):
		line("oom", "not known, as nothing counts for this job alone")
	}
	for _, u := range r.Unenforced {
		line("unlimited", "%s", u.Reason)
	}
	for _, l := range r.Leftovers {
		line("leftover", "%s", leftover(l))
	}
	if r.LeftoversTotal != nil && *r.LeftoversTotal > len(r.Leftovers) {
		line("leftover", "and %d more", *r.LeftoversTotal-len(r.Leftovers))
	}
	if r.Containment != "" {
		line("containment", "%s", containment(r))
	}
	if r.Error != nil {
		line("error", "%s", *r.Error)
	}
	return b.String()
}

// pids is the pids controller's part: the most processes at once, and how often a fork
// was refused.
func pids(r *protocol.Record) string {
	s := ""
	if r.Pids.Peak != nil {
		s += fmt.Sprintf(", %d at once", *r.Pids.Peak)
	}
	if hits := r.Pids.MaxHits; hits != nil && *hits > 0 {
		s += fmt.Sprintf(", %d forks refused by a limit", *hits)
	}
	return s
}

// sizeBy says what a limit of memory is to be chosen by: the peak has page cache in it, which
// the kernel drops when it must.
func sizeBy(m *protocol.Memory) string {
	switch s := m.SampledMax; {
	case s != nil && s.AnonBytes != nil:
		need := *s.AnonBytes
		if s.ShmemBytes != nil {
			need += *s.ShmemBytes
		}
		text := Amount(&need) + " anonymous and shared, the most in a sample"
		if swap := m.SwapPeakBytes; swap != nil && *swap > 0 {
			text += fmt.Sprintf(", and %s in swap at most", Amount(swap))
		}
		return text
	case m.PeakBytes != nil:
		return "anonymous and shared memory, which --sample measures"
	}
	return ""
}

// outOfMemory says whose memory ran out, in words for people.
func outOfMemory(o *protocol.OOM) string {
	s := map[string]string{
		protocol.OOMByJob: "a limit of the job's own", protocol.OOMByAncestor: "the limit of a cgroup above",
		protocol.OOMByMachine: "the machine's memory", protocol.OOMByOutside: "a limit that cannot be seen from here, or the machine's memory",
		protocol.OOMByDaemon: "systemd-oomd",
	}[o.By]
	if o.Cgroup != nil {
		s += ", " + *o.Cgroup
	}
	if o.Kills != nil {
		s += fmt.Sprintf("; %d killed", *o.Kills)
	}
	return s
}

// share is the part of the wall time from which on waiting is worth a word.
const share = 0.1

// bottleneck names the resource for which the job waited most, if it waited for long: by
// its quota, or by the kernel's pressure stall information (PSI). "" is for none, or no
// counters. The times are not exclusive, so their sum may exceed the wall time.
func bottleneck(r *protocol.Record) string {
	most, text := share*r.WallS, ""
	for _, w := range []struct {
		s    *float64
		text string
	}{
		// Stall times count any waiting process ("some"), as full says little of a
		// parallel job.
		{r.CPU.ThrottledS, "its CPU quota: throttled for %s"},
		{r.Pressure.CPU.SomeS, "the CPU: others had it for %s"},
		{r.Pressure.Memory.SomeS, "memory: it waited %s for pages"},
		{r.Pressure.IO.SomeS, "I/O: it waited %s"},
	} {
		if w.s != nil && *w.s > most {
			most, text = *w.s, fmt.Sprintf(w.text, seconds(w.s))
		}
	}
	return text
}

// leftover is one process that outlived the main process.
func leftover(l protocol.Leftover) string {
	s := fmt.Sprintf("%s (%d), %s old, %s", quoted([]string{l.Comm}), l.PID, seconds(l.AgeS), size(l.RSSBytes))
	// The command line of a process that is dying is empty; its comm is not.
	if len(l.Argv) > 0 {
		s += ": " + quoted(l.Argv)
	}
	if l.ArgvCut {
		s += " ..."
	}
	return s
}

// ending is the cause, and the status or signal of the main process where there is one.
func ending(r *protocol.Record) string {
	switch {
	case r.Exit == nil:
		return string(r.Cause)
	case r.Exit.Code != nil:
		return fmt.Sprintf("%s, status %d", r.Cause, *r.Exit.Code)
	case r.Exit.Core:
		return fmt.Sprintf("%s, %s, core dumped", r.Cause, *r.Exit.Signal)
	}
	return fmt.Sprintf("%s, %s", r.Cause, *r.Exit.Signal)
}

// containment is where the job was held, and why in the fallback.
func containment(r *protocol.Record) string {
	switch {
	case r.Cgroup != nil:
		return string(r.Containment) + " " + *r.Cgroup
	case r.ContainmentReason != nil:
		return string(r.Containment) + ", because: " + *r.ContainmentReason
	}
	return string(r.Containment)
}

// seconds rounds a time for people: to microseconds below a second, else to milliseconds.
func seconds(s *float64) string {
	if s == nil {
		return "unknown"
	}
	d := time.Duration(*s * 1e9)
	// More digits than were measured would only look exact.
	if d < time.Second {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// size is the memory of a leftover; it may be gone before that could be read.
func size(bytes *int64) string {
	if bytes == nil {
		return "size unknown"
	}
	return fmt.Sprintf("%.1f MiB", float64(*bytes)/(1<<20))
}

// Amount is a number of bytes, with no more than one digit behind the point.
func Amount(n *uint64) string {
	f, unit := float64(*n), 0
	// Powers of 1024, as memory limits are written.
	for f >= 1024 && unit < 4 {
		f, unit = f/1024, unit+1
	}
	return fmt.Sprintf("%.*f %s", min(unit, 1), f, [...]string{"bytes", "KiB", "MiB", "GiB", "TiB"}[unit])
}

// quoted joins a command line so that it can be read, and pasted into a shell.
func quoted(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = quote(a)
	}
	return strings.Join(words, " ")
}

// quote quotes one word, if it needs quotes. Text of a job is another's text: an escape
// sequence in it must not reach the terminal of the reader.
func quote(word string) string {
	switch {
	case strings.ContainsFunc(word, isUnprintable): // as $'...' of bash and others: nothing reaches the terminal raw
		return "$'" + cli.Printable(strings.ReplaceAll(strings.ReplaceAll(word, `\`, `\\`), "'", `\'`)) + "'"
	case word == "" || strings.ContainsAny(word, " \"'\\$`*?[]{}()<>|&;#~"):
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// isUnprintable tells of what is escaped, bytes that are no UTF-8 among it.
func isUnprintable(r rune) bool { return r == utf8.RuneError || !cli.IsPrintable(r) }
