package containment

import (
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// TestAccounts: the counters of many jobs are read together, and not once more by their
// records.
func TestAccounts(t *testing.T) {
	p := choose(t, Options{Cgroup: ground(t)})
	jobs := make([]*Job, 3)
	for i := range jobs {
		var err error
		if jobs[i], err = p.NewJob("job", 1); err != nil {
			t.Fatal(err)
		}
		if err := jobs[i].Count(); err != nil {
			t.Fatal(err)
		}
		if jobs[i].Account() != nil {
			t.Error("accounted for before its end")
		}
	}
	Accounts(jobs)
	for _, j := range jobs {
		read := j.Account()
		if read == nil {
			t.Fatal("not accounted for")
		}
		r := supervisor.NewRecord(time.Now())
		if j.Record(r, false); j.Account() != read || r.Cgroup == nil || *r.Cgroup != j.Path() {
			t.Errorf("%+v", r)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLimit: with best effort it says what does not hold; without, it is an error.
func TestLimit(t *testing.T) {
	p := choose(t, Options{Cgroup: ground(t)})
	j, err := p.NewJob("job", 1)
	if err != nil {
		t.Fatal(err)
	}
	memory := limit(t, "memory-max", "1G")
	if _, _, err := j.Limit(memory, false, nil); !isLimit(err) {
		t.Errorf("%v", err)
	}
	told := 0
	set, not, err := j.Limit(memory, true, func(error) { told++ })
	if err != nil || len(set) != 0 || len(not) != 1 || told != 1 || not[0].Name != memory[0].Name() {
		t.Errorf("set %v, not %v, told %d, %v", set, not, told, err)
	}
	if err := j.SetLimits(memory, true, nil); err != nil {
		t.Fatal(err)
	}
	if holds, unenforced := j.Limits(); holds == nil || len(holds) != 0 || len(unenforced) == 0 {
		t.Errorf("%v hold, %v do not", holds, unenforced)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestSamples: they are taken between start and drop.
func TestSamples(t *testing.T) {
	p := choose(t, Options{Cgroup: ground(t)})
	j, err := p.NewJob("job", 1)
	if err != nil {
		t.Fatal(err)
	}
	j.Sample(time.Now()) // none are taken
	j.DropSamples()
	if err := j.StartSamples(); err != nil {
		t.Fatal(err)
	}
	j.Sample(time.Now())
	r := supervisor.NewRecord(time.Now())
	if j.Record(r, true); r.Phases == nil && j.Samples == nil {
		t.Error("the samples are gone before the job is closed")
	}
	j.DropSamples()
	if j.Samples != nil {
		t.Error("not dropped")
	}
	if j.Record(r, true); r.Containment != protocol.ContainmentCgroup {
		t.Errorf("%+v", r)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
