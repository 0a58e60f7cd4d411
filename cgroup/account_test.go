package cgroup

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAccounts: those of many are those of each.
func TestAccounts(t *testing.T) {
	s := newSession(t, testRoot(t))
	var jobs []*Job
	var watches []*OOMWatch
	for i := range 40 {
		j, err1 := s.NewJob(fmt.Sprint("job", i))
		if err1 != nil {
			t.Fatal(err1)
		}
		w, err2 := j.WatchOOM()
		if err2 != nil {
			t.Fatal(err2)
		}
		wait(t, start(t, j, "echo ready"))
		jobs, watches = append(jobs, j), append(watches, w)
	}
	const chosen = 17
	need(t, "extended attributes", unix.Fsetxattr(jobs[chosen].node.fd, oomdAttrs[1], []byte("1"), 0))
	for i, a := range Accounts(watches) {
		exactly(t, fmt.Sprintf("the CPU time of job %d", i), a.Stats.CPU.Usage, *stats(t, jobs[i]).CPU.Usage)
		if *a.Stats.CPU.Usage == 0 {
			t.Errorf("job %d used none", i)
		}
		if killed := a.OOM.Cause == OOMDaemon; killed != (i == chosen) {
			t.Errorf("job %d: OOM %v", i, a.OOM)
		}
	}
	need(t, "extended attributes", unix.Fsetxattr(s.fd, oomdAttrs[1], []byte("1"), 0))
	for i, a := range Accounts(watches) {
		if want := s.path; a.OOM.Cause != OOMDaemon || i != chosen && a.OOM.Path != want {
			t.Errorf("job %d: OOM %v, want the daemon's of %s", i, a.OOM, want)
		}
	}
	if got := Accounts(nil); len(got) != 0 {
		t.Errorf("the accounts of nobody: %v", got)
	}
	for _, j := range jobs {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
