package load

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A kind of jobs.
type kind struct {
	weight int
	params string // of spawn
	code   int    // with which its spawn fails; 0: it does not
	cause  string // of its end; "": any
	kill   bool   // it is killed while it starts
}

var kinds = []kind{
	{60, `{"argv":["true"]}`, 0, "exited", false},
	{6, `{"argv":["sh","-c","exit 7"],"tags":{"a":"b"}}`, 0, "exited", false},
	{5, `{"argv":["true"]}`, 0, "", true},
	{5, `{"argv":["sleep","1000"]}`, 0, "killed", true},
	{4, `{"argv":["sh","-c","echo out; echo err >&2"],"stdio":["null","capture","capture"]}`, 0, "exited", false},
	{4, `{"argv":["sh","-c","true & true & wait"],"notify":["descendants"]}`, 0, "exited", false},
	{4, `{"argv":["sh","-c","sleep 1000 & exit 0"]}`, 0, "exited", false},
	{3, `{"argv":["sh","-c","(setsid sleep 1000 &) & exit 0"],"notify":["descendants"]}`, 0, "exited", false},
	{2, `{"argv":["sh","-c","kill -STOP $$; exit 3"]}`, 0, "exited", false},
	{2, `{"argv":["sleep","1000"],"timeout":0.02,"grace":0.02}`, 0, "timeout", false},
	{1, `{"argv":["sh","-c","trap '' TERM; sleep 1000"],"timeout":0.02,"grace":0.02}`, 0, "timeout", false},
	{2, `{"argv":["/no/such/program"]}`, -32005, "", false},
	{2, `{"argv":["sh","-c","exit 0"],"timeout":-1}`, -32602, "", false},
}

// oom is a kind where there is a memory controller.
var oom = kind{3, `{"argv":["tail","/dev/zero"],"limits":{"memory-max":"4M"}}`, 0, "oom", false}

// A soak runs jobs through one server, some in flight.
type soak struct {
	*owner
	kinds    []kind
	n        int
	faulty   bool // any spawn may fail, and programs may
	stalls   bool // now and then the owner does not read for a while
	random   *rand.Rand
	asked    map[int]*kind // by id: not answered yet
	running  map[int]*kind // by job
	failed   int           // spawns, with CodeTooMany
	early    int           // memory after a tenth
	finished int
}

const soakInFlight = 16

func newSoak(o *owner, n int) *soak {
	seed := uint64(time.Now().UnixNano())
	o.t.Logf("seed %d", seed)
	s := &soak{owner: o, n: n, kinds: kinds, random: rand.New(rand.NewPCG(seed, 0)), asked: map[int]*kind{}, running: map[int]*kind{}}
	if slices.Contains(o.controllers, "memory") {
		s.kinds = append(slices.Clip(kinds), oom)
	} else if os.Getenv("SUPERVISE_BED") == "vm" {
		o.t.Errorf("controllers %v, want memory", o.controllers)
	}
	return s
}

// run does it all.
func (s *soak) run() {
	s.t.Helper()
	for sent := 0; s.finished < s.n; {
		for ; sent < s.n && sent-s.finished < soakInFlight; sent++ {
			s.spawn()
		}
		if s.stalls && s.random.IntN(500) == 0 {
			<-time.After(20 * time.Millisecond) // the owner is busy
		}
		m, err := s.read()
		if err == nil {
			err = s.handle(m)
		}
		if err != nil {
			s.t.Fatalf("after %d jobs: %v", s.finished, err)
		}
	}
	rss := s.resident()
	s.t.Logf("%d jobs, %d refused, memory of the server %d KB after a tenth, %d KB at the end", s.n, s.failed, s.early, rss)
	if !testing.Short() && rss > s.early*5/4+1024 {
		s.t.Error("the server's memory has grown")
	}
	if err := s.close(); err != nil {
		s.t.Error(err)
	}
}

func (s *soak) spawn() {
	total := 0
	for _, k := range s.kinds {
		total += k.weight
	}
	at := s.random.IntN(total)
	for i := range s.kinds {
		k := &s.kinds[i]
		if at -= k.weight; at < 0 {
			s.asked[s.ask("spawn", k.params)] = k
			return
		}
	}
}

// handle checks a message, and does what is to follow.
func (s *soak) handle(m *message) error {
	switch {
	case m.Method == "":
		return s.answer(m)
	case m.Method == "exited" && m.Params.Job == 0:
		return nil // of an orphan that nobody could tell the job of
	}
	if err := s.model.told(m); err != nil {
		return err
	}
	switch m.Method {
	case "stopped":
		s.ask("signal", fmt.Sprintf(`{"job":%d,"signal":"CONT"}`, m.Params.Job))
	case "ended":
		return s.end(m)
	}
	return nil
}

func (s *soak) answer(m *message) error {
	k := s.asked[m.ID]
	if k == nil {
		return nil // to kill or signal: the job may have ended before
	}
	delete(s.asked, m.ID)
	if m.Error != nil {
		s.done()
		if s.faulty && m.Error.Code == -32003 {
			s.failed++
			return nil
		}
		if m.Error.Code != k.code {
			return fmt.Errorf("%s: %+v", k.params, m.Error)
		}
		return nil
	}
	if k.code != 0 {
		return fmt.Errorf("%s was started", k.params)
	}
	s.running[m.Result.Job] = k
	if k.kill {
		s.ask("kill", fmt.Sprintf(`{"job":%d}`, m.Result.Job))
	}
	return s.model.answered(m.Result.Job, m.Result.PID)
}

func (s *soak) end(m *message) error {
	k := s.running[m.Params.Job]
	delete(s.running, m.Params.Job)
	s.done()
	r := m.Params.Record
	switch {
	case r.Error != nil && !s.faulty: // it may not even have had a descriptor to see who was left
		return fmt.Errorf("%s: %s", k.params, *r.Error)
	case k.cause != "" && k.cause != r.Cause && !s.faulty:
		return fmt.Errorf("%s: cause %s, want %s", k.params, r.Cause, k.cause)
	}
	return nil
}

func (s *soak) done() {
	if s.finished++; s.finished == s.n/10 {
		s.early = s.resident()
	}
}

// TestSoak runs 200,000 jobs of all kinds through one server.
func TestSoak(t *testing.T) {
	s := newSoak(serve(t, place{cgroup: newGround(t), narrow: true}), scaled(200_000, 400))
	s.stalls = true
	s.run()
}

// TestSoakFaults has system calls of the server fail: it refuses jobs, and those that it has taken it ends.
func TestSoakFaults(t *testing.T) {
	const somebody = 64321
	for name, prepare := range map[string]func(t *testing.T, p *place){
		"EAGAIN of fork": func(t *testing.T, p *place) {
			if os.Geteuid() != 0 {
				t.Skip("to become another user needs root")
			}
			p.uid, p.limits = somebody, map[int]uint64{unix.RLIMIT_NPROC: 18}
			for _, file := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
				if err := os.Chown(filepath.Join(p.cgroup, file), somebody, somebody); err != nil {
					t.Fatal(err)
				}
			}
		},
		"EMFILE": func(_ *testing.T, p *place) { p.limits = map[int]uint64{unix.RLIMIT_NOFILE: 30} },
		"EAGAIN of mkdir": func(t *testing.T, p *place) {
			if err := os.WriteFile(filepath.Join(p.cgroup, "cgroup.max.descendants"), []byte("22"), 0); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			p := place{cgroup: newGround(t)}
			prepare(t, &p)
			s := newSoak(serve(t, p), scaled(10_000, 200))
			s.faulty = true
			s.run()
			if s.failed == 0 {
				t.Error("no spawn has failed")
			}
		})
	}
}

// TestRestart kills servers that are at work, one after the other in the same place.
func TestRestart(t *testing.T) {
	ground := newGround(t)
	for range scaled(50, 10) {
		o := serve(t, place{cgroup: ground})
		for range 20 {
			o.ask("spawn", `{"argv":["sh","-c","(setsid sleep 1000 &) & true & exec sleep 1000"]}`)
		}
		for range rand.IntN(40) {
			if _, err := o.read(); err != nil {
				t.Fatal(err)
			}
		}
		unix.Kill(o.pid, unix.SIGKILL)
		unix.Wait4(o.pid, nil, 0, nil)
		o.conn.Close()
	}
}

// TestFull takes jobs in until there is no descriptor left for another, and then ends each, or all. All have their numbers.
func TestFull(t *testing.T) {
	for name, end := range map[string]func(o *owner, jobs []int){
		"kill": func(o *owner, jobs []int) {
			for _, job := range jobs {
				o.ask("kill", fmt.Sprintf(`{"job":%d}`, job))
			}
		},
		"shutdown": func(o *owner, _ []int) { o.ask("shutdown", `{}`) },
	} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, place{cgroup: newGround(t), limits: map[int]uint64{unix.RLIMIT_NOFILE: 128}})
			jobs := o.fill(t, `{"argv":["sh","-c","sleep 1000 & exec sleep 1000"],"stdio":["null","capture"]}`)
			jobs = append(jobs, o.fill(t, `{"argv":["sh","-c","sleep 1000 & exec sleep 1000"]}`)...)
			end(o, jobs)
			o.awaitEnds(t, len(jobs))
			t.Logf("%d jobs", len(jobs))
			o.model.jobs = nil
			if err := o.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRoom: the more jobs there are, the fewer descriptors each has.
func TestRoom(t *testing.T) {
	const limit = 512
	o := serve(t, place{cgroup: newGround(t), limits: map[int]uint64{unix.RLIMIT_NOFILE: limit}})
	jobs := o.fill(t, `{"argv":["sleep","1000"]}`)
	if len(jobs) < limit/2 {
		t.Errorf("there is room for %d jobs with %d descriptors", len(jobs), limit)
	}
	o.ask("shutdown", `{}`)
	o.awaitEnds(t, len(jobs))
	o.model.jobs = nil
	if err := o.close(); err != nil {
		t.Error(err)
	}
}

// awaitEnds reads until so many jobs have ended, each with its numbers.
func (o *owner) awaitEnds(t *testing.T, jobs int) {
	t.Helper()
	for ended := 0; ended < jobs; {
		m, err := o.read()
		if err != nil {
			t.Fatalf("%d of %d jobs have ended: %v", ended, jobs, err)
		}
		if m.Method != "ended" {
			continue
		}
		if ended++; m.Params.Record.Error != nil {
			t.Errorf("job %d: %s", m.Params.Job, *m.Params.Record.Error)
		}
		if m.Params.Record.CPU.Total == nil {
			t.Errorf("job %d: nobody knows its CPU time", m.Params.Job)
		}
	}
}

// fill spawns until there is no room for another.
func (o *owner) fill(t *testing.T, params string) (jobs []int) {
	for {
		o.ask("spawn", params)
		for m := (&message{}); m.ID != o.last; {
			var err error
			if m, err = o.read(); err != nil {
				t.Fatal(err)
			}
			switch {
			case m.Error != nil && m.Error.Code != -32003:
				t.Fatalf("after %d jobs: %+v", len(jobs), m.Error)
			case m.Error != nil:
				return jobs
			case m.Method == "":
				jobs = append(jobs, m.Result.Job)
			}
		}
	}
}
