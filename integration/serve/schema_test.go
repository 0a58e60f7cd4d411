package serve

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A checker has every message compared with protocol/serve.schema.json: all that the server says, and requests that it grants.
type checker struct {
	t       *testing.T
	asked   map[string]any // requests by id, as text
	schemas map[string]*jsonschema.Schema
}

var compiler = jsonschema.NewCompiler()

func newChecker(t *testing.T) *checker {
	return &checker{t, map[string]any{}, map[string]*jsonschema.Schema{}}
}

// check compares with the whole schema, or a definition in it.
func (c *checker) check(definition string, message any) {
	c.t.Helper()
	schema := c.schemas[definition]
	if schema == nil {
		var err error
		if schema, err = compiler.Compile(testbed.Source("protocol", "serve.schema.json") + definition); err != nil {
			c.t.Fatal(err)
		}
		c.schemas[definition] = schema
	}
	if err := schema.Validate(message); err != nil {
		c.t.Errorf("%v\n%s", err, text(message))
	}
}

// request notes a line that was said.
func (c *checker) request(line []byte) {
	m, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if o, ok := m.(object); ok && err == nil && o["id"] != nil {
		c.asked[text(o["id"])] = m
	}
}

// message checks one that the server said.
func (c *checker) message(line string) {
	c.t.Helper()
	m, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(line)))
	if err != nil {
		c.t.Errorf("%q: %v", line, err)
		return
	}
	c.check("", m)
	o, _ := m.(object)
	request, ok := c.asked[text(o["id"])].(object)
	if !ok || o["result"] == nil {
		return
	}
	delete(c.asked, text(o["id"]))
	c.check("#/$defs/Request", request)
	c.check("#/$defs/"+request["method"].(string)+".result", o["result"])
}

// lines passes on what is said, by lines.
func (s *server) lines(said string) {
	s.unended = append(s.unended, said...)
	for {
		line, rest, ok := bytes.Cut(s.unended, []byte("\n"))
		if !ok {
			return
		}
		s.unended = rest
		if json.Valid(line) {
			s.checker.request(line)
		}
	}
}
