package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const serveSchemaFile = "serve.schema.json"

// methods are the requests with the types of their parameters and results; nil: there are none.
var methods = map[string][2]any{
	MethodHello: {HelloParams{}, HelloResult{}}, MethodSpawn: {SpawnParams{}, SpawnResult{}}, MethodSignal: {SignalParams{}, nil},
	MethodKill: {KillParams{}, KillResult{}}, MethodFreeze: {JobParams{}, nil}, MethodThaw: {JobParams{}, nil}, MethodLimit: {LimitParams{}, LimitResult{}},
	MethodStat: {JobParams{}, StatResult{}}, MethodMark: {MarkParams{}, MarkResult{}}, MethodList: {nil, ListResult{}},
	MethodWait: {JobParams{}, JobEnded{}}, MethodDetach: {JobParams{}, DetachResult{}}, MethodShutdown: {ShutdownParams{}, nil},
	MethodInput: {InputParams{}, nil}, MethodResize: {ResizeParams{}, nil}, MethodOutput: {OutputParams{}, OutputResult{}}, MethodForget: {JobParams{}, nil},
	MethodCredit: {CreditParams{}, nil},
}

var notes = map[string]any{
	NoteStarted: JobStarted{}, NoteReady: JobReady{}, NoteStopped: JobStopped{}, NoteContinued: JobContinued{}, NoteExited: ProcessExited{}, NoteOutput: JobOutput{Data: []byte{}},
	NoteOOM: LimitHit{}, NoteLimit: LimitHit{}, NotePressure: PressureHit{}, NoteSample: JobSample{}, NoteEnded: JobEnded{},
}

// serveFiles declare the messages.
var serveFiles = []string{"serve.go", "serve_spawn.go", "serve_request.go", "serve_notification.go"}

// constants are the values of text constants of files: by type, and those without one by the word that their names begin with.
func constants(t *testing.T, files ...string) map[string][]any {
	t.Helper()
	found := map[string][]any{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		collect(t, parsed, found)
	}
	return found
}

func collect(t *testing.T, parsed *ast.File, found map[string][]any) {
	t.Helper()
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		if !ok || value.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(value.Value)
		if err != nil {
			t.Fatal(err)
		}
		kind := spec.Names[0].Name
		if typed, ok := spec.Type.(*ast.Ident); ok {
			kind = typed.Name
		} else {
			kind = kind[:len(kind)-len(strings.TrimLeft(kind[1:], "abcdefghijklmnopqrstuvwxyz"))]
		}
		found[kind] = append(found[kind], text)
		return true
	})
}

// TestEveryMethod: the tables here are complete.
func TestEveryMethod(t *testing.T) {
	all := constants(t, serveFiles...)
	if len(all["Method"]) != len(methods) || len(all["Note"]) != len(notes) {
		t.Errorf("methods %q and notifications %q, but the tables have %d and %d", all["Method"], all["Note"], len(methods), len(notes))
	}
}

func TestServeSchema(t *testing.T) {
	all := constants(t, serveFiles...)
	g := &generator{
		about: comments(t, append(serveFiles, "record.go", "resources.go", "sample.go")...),
		enums: map[string][]any{"Leftovers": all["Leftovers"], "FileMode": all["FileMode"], "State": all["State"]},
		defs:  object{"Text": text},
	}
	params, told := object{}, object{}
	for name, types := range methods {
		params[name] = g.some(types[0])
		if types[0] == nil || len(g.object(reflect.TypeOf(types[0]))["required"].([]string)) == 0 {
			params[name] = orNull(g.some(types[0]))
		}
		g.defs[name+".result"] = g.some(types[1])
	}
	// Without "wait" the answer to kill says nothing.
	g.defs["kill.result"] = object{"anyOf": []any{g.some(KillResult{}), object{"type": "object", "not": object{"required": []string{"killed"}}}}}
	for name, example := range notes {
		told[name] = g.some(example)
	}
	g.of(reflect.TypeFor[Error]())
	g.defs["Request"], g.defs["Notification"] = envelope(params), envelope(told)
	g.defs["Response"] = object{
		"type": "object", "required": []string{"jsonrpc", "id"}, "properties": object{
			"jsonrpc": object{"const": "2.0"}, "id": object{"type": []any{"string", "number", "null"}}, "error": object{"$ref": "#/$defs/Error"},
		},
		"oneOf": []any{object{"required": []string{"result"}}, object{"required": []string{"error"}}},
	}
	wantFile(t, serveSchemaFile, object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "supervise serve",
		"description": "What supervise serve says. Request is what its owner does; METHOD.result answers that. Fields, methods and notifications may be added.",
		"anyOf":       []any{object{"$ref": "#/$defs/Response"}, object{"$ref": "#/$defs/Notification"}}, "$defs": g.defs,
	})
}

// some describes the type of an example; nil: an object of which nothing matters.
func (g *generator) some(example any) object {
	if example == nil {
		return object{"type": "object"}
	}
	return g.of(reflect.TypeOf(example))
}

// envelope describes messages whose parameters depend on the method. What is unknown may be anything.
func envelope(params object) object {
	var rules []any
	for _, name := range slices.Sorted(maps.Keys(params)) {
		then := object{"properties": object{"params": params[name]}}
		if params[name].(object)["$ref"] != nil {
			then["required"] = []string{"params"}
		}
		rules = append(rules, object{"if": object{"properties": object{"method": object{"const": name}}}, "then": then})
	}
	return object{
		"type": "object", "required": []string{"jsonrpc", "method"}, "allOf": rules, "properties": object{
			"jsonrpc": object{"const": "2.0"}, "id": object{"type": []any{"string", "number"}}, "method": object{"type": "string"},
		},
	}
}

func TestServeMessagesAreValid(t *testing.T) {
	request, said := validator(t, serveSchemaFile+"#/$defs/Request"), validator(t, serveSchemaFile)
	for name, example := range notes {
		if name == NoteEnded {
			example = JobEnded{Job: 1, Record: fullRecord()}
		}
		b, err := Marshal(struct {
			JSONRPC string `json:"jsonrpc"`
			Method  string `json:"method"`
			Params  any    `json:"params"`
		}{"2.0", name, example})
		if err == nil {
			err = said(b)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
	for _, good := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}`,
		`{"jsonrpc":"2.0","id":"a","method":"list"}`,
		`{"jsonrpc":"2.0","method":"unknown","params":[1]}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a"],"stdio":["null",null,{"file":"a","mode":"append"},{"capture":{"limit":-1}},{"fd":0}],
			"limits":{"memory-max":"1G","cpus":1.5,"x":true},"env":null,"env_update":{"A":null},"grace":null,"leftovers":"wait"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a",{"base64":"/w=="}],"path":{"base64":"/w=="},"cwd":{"base64":"/w=="},"name":null,
			"env":{"A":{"base64":"/w=="}},"env_update":["A=b",{"base64":"/z3/"},"C"],"stdio":[{"file":{"base64":"/w=="}}]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"mark","params":{"job":1,"name":{"base64":"/w=="}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"pipeline":[{"argv":["a"]},{"argv":["b"],"cwd":"/"}],"stdio":["input",{"capture":{"keep":1,"text":true}}],"notify":["ready"]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a"],"stdio":[{"pty":{"rows":24,"cols":80}},"pty","pty"]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"input","params":{"job":1,"text":"a","eof":true}}`,
		`{"jsonrpc":"2.0","id":1,"method":"output","params":{"job":1,"offset":-10,"wait":0.5}}`,
	} {
		if err := request([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		`[]`, `{}`, `{"jsonrpc":"1.0","id":1,"method":"list"}`, `{"jsonrpc":"2.0","id":1,"method":"hello"}`, `{"jsonrpc":"2.0","id":{},"method":"list"}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"pipeline":[{}]}}`, `{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":"a"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a"],"stdio":["teapot"]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a"],"leftovers":"keep"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a"],"limits":{"a":{}}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a",{"base46":"/w=="}]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a"],"env":["A=b",null]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["a"],"stdio":[{"pty":{"rows":-1}}]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"input","params":{"text":"a"}}`,
	} {
		if request([]byte(bad)) == nil {
			t.Errorf("valid: %s", bad)
		}
	}
}
