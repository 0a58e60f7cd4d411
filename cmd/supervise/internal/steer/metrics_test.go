package steer

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/seed-c1490a04/supervise/protocol"
)

func pointer[T any](v T) *T { return &v }

// full is a job of which all is known.
func full() *protocol.Stat {
	s := &protocol.Stat{Job: protocol.ListedJob{
		ID: "4be0568c/a", Name: "a \"b\" \\ \n\xff\u202e", State: protocol.ListedRunning, UID: 1000, Containment: protocol.ContainmentCgroup,
		Processes: pointer(3), CPUS: pointer(1.25), Memory: pointer[uint64](1 << 20), MemoryMax: pointer[uint64](1 << 30), PidsMax: pointer[uint64](9),
		Supervisor: pointer(7), Outer: pointer("pid9/x"), Owner: &protocol.JobOwner{PID: 8, Comm: "make"}, Started: &protocol.Time{},
	}}
	s.CPU.ThrottledS = pointer(0.5)
	s.Memory.PeakBytes, s.Memory.Events = pointer[uint64](2<<20), &protocol.MemoryEvents{OOMKill: pointer[uint64](1)}
	s.MemoryNow.AnonBytes = pointer[uint64](4096)
	s.IO.ReadBytes, s.IO.WriteBytes = pointer[uint64](10), pointer[uint64](20)
	for _, stall := range []*protocol.Stall{&s.Pressure.CPU, &s.Pressure.Memory, &s.Pressure.IO} {
		stall.SomeS = pointer(0.25)
	}
	return s
}

// TestMetricsFormat: Prometheus's own parser and linter have nothing against it.
func TestMetricsFormat(t *testing.T) {
	text := metricsText([]*protocol.Stat{full(), {Job: protocol.ListedJob{ID: "pid1/x", Containment: protocol.ContainmentSubreaper}}}, false)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", err, problems)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != len(families) {
		t.Errorf("%d families, want %d", len(found), len(families))
	}
	cpu := found["supervise_job_cpu_seconds_total"].GetMetric()
	if len(cpu) != 1 || cpu[0].GetCounter().GetValue() != 1.25 { // of the other job it is not known
		t.Errorf("%v", cpu)
	}
	labels := map[string]string{}
	for _, l := range found["supervise_job_info"].GetMetric()[0].GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	if labels["name"] != "a \"b\" \\ \n\uFFFD\u202e" || labels["outer"] != "pid9/x" || labels["uid"] != "1000" {
		t.Errorf("%v", labels)
	}
}

// TestOpenMetrics: what is different there.
func TestOpenMetrics(t *testing.T) {
	text := metricsText([]*protocol.Stat{full()}, true)
	for _, want := range []string{
		"# TYPE supervise_job_cpu_seconds counter\n# UNIT supervise_job_cpu_seconds seconds\nsupervise_job_cpu_seconds_total{",
		"# TYPE supervise_job_processes gauge\nsupervise_job_processes{",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	if !strings.HasSuffix(text, "} 9\n# EOF\n") {
		t.Errorf("%s", text)
	}
}
