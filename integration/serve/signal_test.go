package serve

import (
	"fmt"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// chain is a process that forks the next and ends, again and again: whoever looks for it finds where it was. Each
// generation is one call deeper in the shell, and there may be 1,000 calls: every 500th begins anew.
const chain = `export at=450 chain='f() { [ "$1" = "$at" ] && echo ready; [ "$1" = 0 ] && at= exec sh -c "$chain"; f $(($1 - 1)) & }; f 500'
exec sh -c "$chain"`

// TestSignalAll misses no process of a job that is forking.
func TestSignalAll(t *testing.T) {
	testbed.Need(t, "a cgroup of our own", noGroup)
	s := newBox(t).serve(inCgroup, socket)
	s.hello()
	for range 20 {
		j := s.shell(object{"leftovers": "wait", "stdio": captured["stdio"]}, chain)
		j.told("output")
		j.do("signal", object{"signal": "USR1", "all": true})
		j.ended("exited") // else it would go on for ever
	}
	s.end()
}

// TestSignalAllStops: a signal that stops does, in each containment.
func TestSignalAllStops(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		j := s.shell(captured, "sleep 1000 & echo ready; wait")
		j.told("output")
		for range 2 {
			j.do("signal", object{"signal": "TSTP", "all": true}) // the kernel drops it, as nobody could continue a session
			j.do("signal", object{"signal": "STOP", "all": true})
			if m := j.told("stopped"); m["signal"] != "SIGSTOP" {
				t.Error(text(m))
			}
			j.do("signal", object{"signal": "CONT", "all": true})
			j.told("continued")
		}
		j.kill()
		s.end()
	})
}

// TestFreeze: a frozen job does nothing, and can be killed, signalled and asked to end.
func TestFreeze(t *testing.T) {
	testbed.Need(t, "a cgroup of our own", noGroup)
	s := newBox(t).serve(inCgroup, socket)
	s.hello()
	frozen := func(script string) *job {
		j := s.shell(captured, "trap 'exit 5' USR1; echo ready;"+script)
		j.told("output")
		j.do("freeze", nil)
		return j
	}
	const loop = "while :; do sleep 0.01; done"
	frozen(loop).kill()
	j := frozen(loop)
	j.do("signal", object{"signal": "USR1"})
	j.do("signal", object{"signal": "USR1", "all": true})
	if r := j.do("stat", nil); r["frozen"] != true || r["state"] != "running" {
		t.Errorf("after signals: %s", text(r))
	}
	j.do("thaw", nil)
	j.ended("exited")
	j = frozen(loop)
	j.do("kill", object{"grace": 1000, "signal": "USR1"})
	if r := j.ended("killed"); text(r["exit"]) != `{"code":5,"core":false,"signal":null}` {
		t.Errorf("record: %s", text(r))
	}
	frozen(loop)
	s.shutdown()
}

// TestKillAtStart: kill behind spawn, before anybody has read anything.
func TestKillAtStart(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		for i := range 50 {
			s.write(request("spawn", "spawn", object{"argv": []string{"sh", "-c", "setsid sleep 1000 & sleep 1000"}}) +
				request("kill", "kill", object{"job": i + 1}))
			m := s.find("the answer", func(m object) bool { return m["id"] == "spawn" })
			j := &job{s: s, number: m["result"].(object)["job"].(float64)}
			j.told("started")
			j.told("exited")
			j.ended("killed")
		}
		s.end()
	})
}

// TestPipelined: a thousand requests at once; each is answered, in order, and each job's story is complete.
func TestPipelined(t *testing.T) {
	const crowd = 1000
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		go func() { // ends when all is written
			for i := range crowd {
				s.in.Write([]byte(request(fmt.Sprint(i), "spawn", object{"argv": []string{"sh", "-c", fmt.Sprintf("exit %d", i%200)}})))
			}
		}()
		answered, numbers, stories := 0, map[float64]int{}, map[float64]string{}
		for ended := 0; ended < crowd; {
			m := s.next()
			params, _ := m["params"].(object)
			switch m["method"] {
			case nil:
				result, _ := m["result"].(object)
				if m["id"] != fmt.Sprint(answered) || result == nil {
					t.Fatalf("answer %d is %s", answered, text(m))
				}
				numbers[result["job"].(float64)] = answered
				answered++
			case "exited":
				if want := numbers[params["job"].(float64)] % 200; params["code"] != float64(want) {
					t.Errorf("want code %d: %s", want, text(m))
				}
			case "ended":
				ended++
			}
			if m["method"] != nil {
				stories[params["job"].(float64)] += m["method"].(string) + " "
			}
		}
		for number, story := range stories {
			if _, ok := numbers[number]; !ok || story != "started exited ended " {
				t.Errorf("job %v: %s", number, story)
			}
		}
		s.end()
	})
}

// TestDescendants: exited tells of orphans, too, if it is wanted.
func TestDescendants(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		// The orphan ends when the main process is gone: then it is one.
		const script = `(while [ -d /proc/$$ ]; do sleep 0.01; done; exit 7) & (sleep 1000) & echo ready; exit 3`
		j := s.shell(object{"notify": []string{"descendants"}, "leftovers": "wait", "stdio": captured["stdio"]}, script)
		if m := j.told("exited"); m["main"] != true || m["code"] != 3.0 {
			t.Errorf("main: %s", text(m))
		}
		if m := j.told("exited"); m["main"] != false || m["code"] != 7.0 || m["pid"] == float64(j.pid) {
			t.Errorf("orphan: %s", text(m))
		}
		j.do("kill", nil)
		j.told("ended")
		s.end()
	})
}

// TestLastDescendants: whoever ends last, as the job does, is told of before that.
func TestLastDescendants(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		for range 100 {
			j := s.shell(object{"notify": []string{"descendants"}, "leftovers": "wait"}, "sleep 0.01 & sleep 0.01 & sleep 0.01 & exit 3")
			for range 4 {
				s.find("exited of all four", func(m object) bool {
					params, _ := m["params"].(object)
					if m["method"] == "ended" {
						t.Fatalf("ended before that: %s", text(m))
					}
					return m["method"] == "exited" && params["job"] == j.number
				})
			}
			j.told("ended")
		}
		s.end()
	})
}
