package batch

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// taskCgroup is where Slurm puts the processes of a task. The scope around is delegated to slurmd and has its jobs in it; Slurm
// 22.05 signals those in the cgroup of the task only, and a job is completing for as long as something lives below.
var taskCgroup = regexp.MustCompile(`/system\.slice/n[0-9]+_slurmstepd\.scope/job_[0-9]+/step_[^/]+/user/task_[0-9]+$`)

// ancestry is a script that prints the name and the cgroup of each process from the shell up to slurmstepd.
const ancestry = `p=$$
while name=$(cat /proc/$p/comm); [ "$p" != 1 ] && [ "${name#slurmstepd}" = "$name" ]; do
	echo "$name $(sed -n s/^0:://p /proc/$p/cgroup)"
	p=$(cut -d' ' -f4 /proc/$p/stat)
done`

// TestPlace: the job is in the cgroup that Slurm gave it, and so is the supervisor. The record says why it is in no other.
func TestPlace(t *testing.T) {
	needSlurm(t, "cgroup")
	forEachUser(t, func(s *site) {
		o := s.run(srun(nil, supervise("--record", "record", "--", "sh", "-c", ancestry))...)
		if o.code != 0 || !strings.Contains(o.out, "supervise ") {
			s.t.Errorf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
		}
		for _, line := range lines(o.out) {
			if !taskCgroup.MatchString(line) {
				s.t.Errorf("process and cgroup: %s, want %s", line, taskCgroup)
			}
		}
		if r := s.record("record"); r.Containment != "subreaper" || r.Reason == nil || !strings.Contains(*r.Reason, "Slurm") {
			b, _ := json.Marshal(r)
			s.t.Errorf("want a job held by descent, and Slurm for the reason: %s", b)
		}
	})
}

// TestNoCgroup: there is no cgroup for a job that must have one.
func TestNoCgroup(t *testing.T) {
	needSlurm(t, "cgroup")
	forEachUser(t, func(s *site) {
		o := s.run(srun(nil, supervise("--contain=cgroup", "--", "echo", "started"))...)
		if o.code != 125 || o.out != "" || !strings.Contains(o.err, "Slurm") {
			s.t.Errorf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
		}
	})
}

// TestDoctor: it says what holds a job in a step, and why.
func TestDoctor(t *testing.T) {
	needSlurm(t, "cgroup")
	forEachUser(t, func(s *site) {
		o := s.run(srun(nil, []string{filepath.Join(bin, "supervise"), "doctor", "--json"})...)
		var d struct {
			Containment string
			Reason      string
		}
		if err := json.Unmarshal([]byte(o.out), &d); err != nil || d.Containment != "subreaper" || !strings.Contains(d.Reason, "Slurm") {
			s.t.Errorf("%v, %+v; status %d, stderr %q", err, d, o.code, o.err)
		}
	})
}

// hog is a program that has 300 MiB, of which all is touched.
var hog = []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1"}

// jobCgroup is where Slurm's limit of memory may be met: at the job, at its step, or between that and the task.
var jobCgroup = regexp.MustCompile(`/n[0-9]+_slurmstepd\.scope/job_[0-9]+(/step_[^/]+(/user(/task_[0-9]+)?)?)?$`)

// TestMemory: what the step may have is what its job may have, whether supervise is the task, as with the plugin, or the task's child.
// The record says that it was Slurm's limit that ended the job, and which.
func TestMemory(t *testing.T) {
	needSlurm(t, "cgroup")
	job := supervise(append([]string{"--record", "record", "--"}, hog...)...)
	tests := []struct {
		name string
		argv []string
	}{
		{"task", job},
		{"child", append([]string{"sh", "-c", `"$@"; echo status $?`, "sh"}, job...)},
		{"plugin", append([]string{"--supervise", "--supervise-flags=--record record"}, hog...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			forEachUser(t, func(s *site) {
				o := s.run(srun([]string{"--mem=200M"}, tt.argv)...)
				if tt.name == "child" && o.out != "status 137\n" || o.code == 0 {
					s.t.Errorf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
				}
				r := s.record("record")
				if r.Cause != "oom" || r.OOM == nil || r.OOM.By != "ancestor" || !jobCgroup.MatchString(r.OOM.Cgroup) {
					s.t.Errorf("the job ended by %s, cause %s, memory: %+v; want Slurm's limit", r.signal(), r.Cause, r.OOM)
				}
			})
		})
	}
}
