package serve

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzServe says anything to a server, and hangs up: it ends, well, with nothing left. Commands are of the few that do no harm.
func FuzzServe(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	c := inCgroup
	if noGroup != nil {
		c = inSubreaper
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		if len(said) > 1<<16 || !harmless(said) {
			return
		}
		s := newBox(t).serve(c, pipes)
		go func() { // ends when all is written, or the server has ended
			s.in.Write(said)
			s.in.Close()
		}()
		for {
			line, err := s.line()
			if err == io.EOF {
				break
			}
			if err != nil || !json.Valid([]byte(line)) {
				t.Fatalf("%q, %v", line, err)
			}
		}
		if code := s.wait(); code != 0 {
			t.Errorf("status %d", code)
		}
	})
}

// seeds are conversations: all that the script says in each, where names stand for job 1.
func seeds(f *testing.F) (all [][]byte) {
	for _, steps := range readScript(f) {
		var said bytes.Buffer
		for _, st := range steps {
			switch {
			case st.Send != nil:
				said.WriteString(jobs.Replace(text(st.Send)) + "\n")
			case st.Raw != "":
				said.WriteString(st.Raw)
			}
		}
		if harmless(said.Bytes()) {
			all = append(all, said.Bytes())
		}
	}
	return all
}

var jobs = strings.NewReplacer(`"$job"`, "1", `"$job2"`, "2", `["sleep","1000"]`, `["sleep","9"]`)

// A fuzzed is what is dangerous in a command.
type fuzzed struct {
	Argv      []any
	Path, Cwd any
}

func (c fuzzed) harmless() bool {
	known := len(c.Argv) == 0 || slices.Contains([]string{"true", "/bin/true", "sleep"}, decoded(c.Argv[0]))
	return known && c.Path == nil && c.Cwd == nil
}

// harmless says whether all commands are known, and all files within the directory of the server.
func harmless(said []byte) bool {
	for line := range bytes.SplitSeq(said, []byte("\n")) {
		var r struct {
			Params struct {
				fuzzed
				Pipeline []fuzzed
				Stdio    []json.RawMessage
			}
		}
		if json.Unmarshal(line, &r) != nil {
			var any json.RawMessage
			if json.Unmarshal(line, &any) == nil && bytes.Contains(bytes.ToLower(line), []byte("argv")) {
				return false // it may be understood in another way
			}
			continue
		}
		p := r.Params
		if !p.harmless() || slices.ContainsFunc(p.Pipeline, func(c fuzzed) bool { return !c.harmless() }) {
			return false
		}
		for _, one := range p.Stdio {
			var s struct{ File any }
			if json.Unmarshal(one, &s) != nil || s.File == nil {
				continue
			}
			if file := decoded(s.File); file != filepath.Base(file) || strings.Contains(file, "..") {
				return false
			}
		}
	}
	return true
}

// decoded is text, which may be in base64; "" if it is none.
func decoded(text any) string {
	if o, ok := text.(object); ok {
		text, _ := o["base64"].(string)
		b, _ := base64.StdEncoding.DecodeString(text)
		return string(b)
	}
	s, _ := text.(string)
	return s
}
