package serve

import (
	"fmt"
	"slices"
	"strings"
)

// send asks for something, and returns the id.
func (s *server) send(method string, params any) float64 {
	s.t.Helper()
	s.ids++
	s.write(request(s.ids, method, params))
	return float64(s.ids)
}

// request is a line.
func request(id any, method string, params any) string {
	return text(object{"jsonrpc": "2.0", "id": id, "method": method, "params": params}) + "\n"
}

// find returns the next message that is wanted, and keeps those before it, of which it looks at the earlier ones first.
func (s *server) find(what string, wanted func(m object) bool) object {
	s.t.Helper()
	if i := slices.IndexFunc(s.seen, wanted); i >= 0 {
		m := s.seen[i]
		s.seen = slices.Delete(s.seen, i, i+1)
		return m
	}
	for {
		m := s.next()
		switch {
		case m == nil:
			s.t.Fatalf("the end came instead of %s; before it %s", what, text(s.seen))
		case wanted(m):
			return m
		}
		s.seen = append(s.seen, m)
	}
}

// answer returns the answer to a request.
func (s *server) answer(id float64) object {
	s.t.Helper()
	return s.find(fmt.Sprint("an answer to ", id), func(m object) bool { return m["id"] == id })
}

// call asks for something that is granted.
func (s *server) call(method string, params any) object {
	s.t.Helper()
	m := s.answer(s.send(method, params))
	result, ok := m["result"].(object)
	if !ok {
		s.t.Fatalf("%s %s: %s; before it %s", method, text(params), text(m), text(s.seen))
	}
	return result
}

// refused asks for something that is not, and returns the error.
func (s *server) refused(code int, method string, params any) object {
	s.t.Helper()
	m := s.answer(s.send(method, params))
	failure, _ := m["error"].(object)
	if failure["code"] != float64(code) {
		s.t.Errorf("%s %s: %s, want error %d", method, text(params), text(m), code)
	}
	return failure
}

func (s *server) hello() object {
	s.t.Helper()
	return s.call("hello", object{"versions": []int{1}})
}

// A job is what spawn has answered.
type job struct {
	s      *server
	number float64
	pid    int
	result object
}

// spawn starts a job. What is given is the rest of the parameters.
func (s *server) spawn(params object, argv ...string) *job {
	s.t.Helper()
	all := object{"argv": argv}
	for name, value := range params {
		all[name] = value
	}
	r := s.call("spawn", all)
	return &job{s, r["job"].(float64), int(r["pid"].(float64)), r}
}

// spawned is the job of a spawn that was sent.
func (s *server) spawned(id float64) *job {
	s.t.Helper()
	m := s.answer(id)
	result, ok := m["result"].(object)
	if !ok {
		s.t.Fatalf("spawn: %s", text(m))
	}
	return &job{s: s, number: result["job"].(float64)}
}

// shell starts a script.
func (s *server) shell(params object, script string) *job {
	s.t.Helper()
	return s.spawn(params, "sh", "-c", script)
}

// told returns the next notification of the job of this kind.
func (j *job) told(method string) object {
	j.s.t.Helper()
	m := j.s.find(fmt.Sprintf("%s of job %v", method, j.number), func(m object) bool {
		params, _ := m["params"].(object)
		return m["method"] == method && params["job"] == j.number
	})
	return m["params"].(object)
}

// ended waits for the end and returns the record.
func (j *job) ended(cause string) object {
	j.s.t.Helper()
	r := j.told("ended")["record"].(object)
	if r["cause"] != cause {
		j.s.t.Errorf("job %v: cause %v, want %s: %s", j.number, r["cause"], cause, text(r))
	}
	return r
}

// do asks for something about the job.
func (j *job) do(method string, more object) object {
	j.s.t.Helper()
	params := object{"job": j.number}
	for name, value := range more {
		params[name] = value
	}
	return j.s.call(method, params)
}

// kill ends the job.
func (j *job) kill() object {
	j.s.t.Helper()
	j.do("kill", nil)
	return j.ended("killed")
}

// features are those of the server.
func (s *server) features() []string {
	var list []string
	for _, f := range s.hello()["features"].([]any) {
		list = append(list, f.(string))
	}
	return list
}

// sh quotes a script's words.
func quote(words ...string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(quoted, " ")
}
