package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/jobs"
	"github.com/seed-c1490a04/supervise/cmd/internal/replace"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A family is one metric of all jobs.
type family struct {
	name string // of a counter without _total
	unit string // the end of the name; "": none
	kind string // counter or gauge
	help string
	read func(s *protocol.Stat) []sample
}

// A sample is one value of a job's. Labels are those beside the job's own: name, value, ...
type sample struct {
	value  float64
	labels []string
}

// one is a single sample, or none for what is not known.
func one[N uint64 | int | float64](n *N, labels ...string) []sample {
	if n == nil {
		return nil
	}
	return []sample{{float64(*n), labels}}
}

// families are in the order of their printing.
var families = []family{
	{"supervise_job_info", "", "gauge", "What a job is: its state, user, containment, supervisor and the job around it.", info},
	{"supervise_job_start_time_seconds", "seconds", "gauge", "When the job was started, since the epoch.", started},
	{"supervise_job_processes", "", "gauge", "Live processes.", func(s *protocol.Stat) []sample { return one(s.Job.Processes) }},
	{"supervise_job_cpu_seconds", "seconds", "counter", "Processor time used so far.", func(s *protocol.Stat) []sample { return one(s.Job.CPUS) }},
	{"supervise_job_cpu_throttled_seconds", "seconds", "counter", "Time that processes waited for the next period of cpu.max.", func(s *protocol.Stat) []sample { return one(s.CPU.ThrottledS) }},
	{"supervise_job_memory_bytes", "bytes", "gauge", "Memory in use, page cache included (memory.current).", func(s *protocol.Stat) []sample { return one(s.Job.Memory) }},
	{"supervise_job_memory_anon_bytes", "bytes", "gauge", "Memory that processes have allocated.", func(s *protocol.Stat) []sample { return one(s.MemoryNow.AnonBytes) }},
	{"supervise_job_memory_peak_bytes", "bytes", "gauge", "The most memory in use so far, page cache included.", func(s *protocol.Stat) []sample { return one(s.Memory.PeakBytes) }},
	{"supervise_job_memory_max_bytes", "bytes", "gauge", "The limit of memory, where there is one.", func(s *protocol.Stat) []sample { return one(s.Job.MemoryMax) }},
	{"supervise_job_oom_kills", "", "counter", "Processes killed for want of memory.", oomKills},
	{"supervise_job_io_read_bytes", "bytes", "counter", "Bytes read from devices.", func(s *protocol.Stat) []sample { return one(s.IO.ReadBytes) }},
	{"supervise_job_io_written_bytes", "bytes", "counter", "Bytes written to devices.", func(s *protocol.Stat) []sample { return one(s.IO.WriteBytes) }},
	{"supervise_job_waiting_seconds", "seconds", "counter", "Time in which some process was waiting for a resource (pressure, some).", waiting},
	{"supervise_job_pids_max", "", "gauge", "The limit of tasks, where there is one.", func(s *protocol.Stat) []sample { return one(s.Job.PidsMax) }},
}

func info(s *protocol.Stat) []sample {
	j := &s.Job
	labels := []string{"state", string(j.State), "uid", strconv.Itoa(j.UID), "containment", string(j.Containment)}
	if j.Supervisor != nil {
		labels = append(labels, "supervisor", strconv.Itoa(*j.Supervisor))
	}
	if j.Owner != nil {
		labels = append(labels, "owner", j.Owner.Comm)
	}
	if j.Outer != nil {
		labels = append(labels, "outer", *j.Outer)
	}
	return []sample{{1, labels}}
}

func started(s *protocol.Stat) []sample {
	if s.Job.Started == nil {
		return nil
	}
	t := float64(s.Job.Started.UnixMilli()) / 1000
	return one(&t)
}

func oomKills(s *protocol.Stat) []sample {
	if s.Memory.Events == nil {
		return nil
	}
	return one(s.Memory.Events.OOMKill)
}

func waiting(s *protocol.Stat) []sample {
	return slices.Concat(one(s.Pressure.CPU.SomeS, "resource", "cpu"), one(s.Pressure.Memory.SomeS, "resource", "memory"), one(s.Pressure.IO.SomeS, "resource", "io"))
}

// metrics prints numbers of all jobs: of this user, or, for root, of all.
func metrics(c *commandLine, version string) error {
	var stats []*protocol.Stat
	uid := os.Geteuid()
	var failed []error
	list, err := jobs.Find(func(j *jobs.Job) bool {
		if uid == 0 || j.UID == uid {
			s, err := statOf(j, version)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) { // else it has ended meanwhile
				failed = append(failed, err)
			}
			stats = append(stats, s)
		}
		return false
	})
	whole := map[string]protocol.ListedJob{} // with what is known of a job when all are
	for _, j := range list {
		whole[j.ID] = j.ListedJob
	}
	for _, s := range stats {
		s.Job = whole[s.Job.ID]
	}
	text := metricsText(stats, c.openMetrics)
	if err = errors.Join(append(failed, err)...); err != nil {
		return err
	}
	if c.output == "" {
		_, err := os.Stdout.WriteString(text)
		return err
	}
	return replace.File(c.output, []byte(text), 0o644) // which a collector may read, too
}

// metricsText is the format of Prometheus, or OpenMetrics 1.0, which tell the name of a counter
// from that of its samples, and have units and an end.
func metricsText(stats []*protocol.Stat, openMetrics bool) string {
	var b strings.Builder
	for _, f := range families {
		name, series := f.name, f.name
		if f.kind == "counter" {
			series += "_total"
			if !openMetrics {
				name = series
			}
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, f.help, name, f.kind)
		if openMetrics && f.unit != "" {
			fmt.Fprintf(&b, "# UNIT %s %s\n", name, f.unit)
		}
		for _, s := range stats {
			for _, v := range f.read(s) {
				writeSample(&b, series, &s.Job, v)
			}
		}
	}
	if openMetrics {
		b.WriteString("# EOF\n")
	}
	return b.String()
}

func writeSample(b *strings.Builder, series string, j *protocol.ListedJob, v sample) {
	fmt.Fprintf(b, "%s{job_id=\"%s\",name=\"%s\"", series, escapeLabel(j.ID), escapeLabel(j.Name))
	for i := 0; i+1 < len(v.labels); i += 2 {
		fmt.Fprintf(b, ",%s=\"%s\"", v.labels[i], escapeLabel(v.labels[i+1]))
	}
	fmt.Fprintf(b, "} %s\n", strconv.FormatFloat(v.value, 'g', -1, 64))
}

// escapeLabel writes any bytes as the formats have them.
func escapeLabel(text string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(text, "\uFFFD"))
}
