package protocol

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The schema is made of the types and their comments, so that it cannot say anything else; -update writes it.

type object = map[string]any

// comments are what stands behind and above the fields of the types in some files, by "Type.Field".
func comments(t *testing.T, files ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, f := range s.Fields.List {
				text := strings.TrimSpace(strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " "))
				for _, id := range f.Names {
					found[spec.Name.Name+"."+id.Name] = text
				}
			}
			return true
		})
	}
	return found
}

// A generator describes types. With defs structs have their own definitions there, and are referred to.
type generator struct {
	about map[string]string
	enums map[string][]any // values of the types of which these are all, by name
	defs  object
}

// schemas are the names of layouts.
var schemas = map[reflect.Type]string{
	reflect.TypeFor[Record](): RecordSchema, reflect.TypeFor[List](): ListSchema, reflect.TypeFor[Stat](): StatSchema,
}

// nullable are the lists that may be unknown.
var nullable = []string{"devices", "phases", "procs"}

// of describes a type; a pointer may be null.
func (g *generator) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Containment]():
		return object{"enum": []any{ContainmentCgroup, ContainmentSubreaper, nil}}
	case reflect.TypeFor[LimitValue]():
		return object{"type": []any{"string", "number", "boolean"}}
	case reflect.TypeFor[Text]():
		return object{"$ref": "#/$defs/Text"}
	case reflect.TypeFor[Texts]():
		return object{"type": "array", "items": object{"$ref": "#/$defs/Text"}}
	case reflect.TypeFor[Environ]():
		return orList(object{"$ref": "#/$defs/Text"})
	case reflect.TypeFor[EnvironUpdate]():
		return orList(orNull(object{"$ref": "#/$defs/Text"}))
	case reflect.TypeFor[[]byte]():
		return object{"type": "string", "contentEncoding": "base64"}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	if values := g.enums[t.Name()]; values != nil {
		return object{"enum": values}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return orNull(g.of(t.Elem()))
	case reflect.Slice:
		return object{"type": "array", "items": g.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.of(t.Elem())}
	case reflect.Struct:
		return g.structOrRef(t)
	}
	if s := simple[t.Kind()]; s != nil {
		return maps.Clone(s)
	}
	panic("no schema for " + t.String())
}

var simple = map[reflect.Kind]object{
	reflect.String: {"type": "string"}, reflect.Bool: {"type": "boolean"}, reflect.Float64: {"type": "number"},
	reflect.Int: {"type": "integer"}, reflect.Int64: {"type": "integer"}, reflect.Uint64: {"type": "integer", "minimum": 0},
	reflect.Uint16: {"type": "integer", "minimum": 0, "maximum": 65535},
}

// text describes Text, for the definitions.
var text = object{"anyOf": []any{
	object{"type": "string"},
	object{"type": "object", "required": []string{"base64"}, "properties": object{"base64": object{"type": "string", "contentEncoding": "base64"}}},
}}

// orList describes an environment with such values.
func orList(value object) object {
	return object{"anyOf": []any{
		object{"type": "object", "additionalProperties": value}, object{"type": "array", "items": object{"$ref": "#/$defs/Text"}},
	}}
}

func orNull(s object) object {
	switch {
	case s["anyOf"] != nil:
		s["anyOf"] = append(slices.Clone(s["anyOf"].([]any)), object{"type": "null"})
	case s["$ref"] != nil:
		return object{"anyOf": []any{s, object{"type": "null"}}}
	case s["enum"] != nil:
		s["enum"] = append(slices.Clone(s["enum"].([]any)), nil)
	case s["type"] != nil:
		s["type"] = []any{s["type"], "null"}
	}
	return s
}

func (g *generator) structOrRef(t reflect.Type) object {
	if g.defs == nil {
		return g.object(t)
	}
	if g.defs[t.Name()] == nil {
		g.defs[t.Name()] = object{} // for one that refers to itself
		s := g.object(t)
		if t == reflect.TypeFor[Stdio]() {
			s = object{"anyOf": []any{object{"enum": []any{"null", "inherit", "pipe", "input", "capture", "pty", nil}}, s}}
		}
		g.defs[t.Name()] = s
	}
	return object{"$ref": "#/$defs/" + t.Name()}
}

// object describes a struct. What is left out where it is empty is not required, and may be null.
func (g *generator) object(t reflect.Type) object {
	properties, required := object{}, []string{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			inner := g.object(f.Type)
			maps.Copy(properties, inner["properties"].(object))
			required = append(required, inner["required"].([]string)...)
			continue
		}
		properties[name] = g.field(t, f, name, options)
		if options == "" {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}

func (g *generator) field(t reflect.Type, f reflect.StructField, name, options string) object {
	s := g.of(f.Type)
	switch {
	case name == "schema":
		return object{"const": schemas[t]}
	case slices.Contains(nullable, name), options != "" && f.Type.Kind() != reflect.Pointer:
		s = orNull(s)
	}
	if text := g.about[t.Name()+"."+f.Name]; text != "" {
		s["description"] = text
	}
	return s
}

// wantFile compares a schema with the file that it is in, or writes it.
func wantFile(t *testing.T, file string, schema object) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(schema); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("%s is not that of the types (go test -update writes it anew): %v", file, err)
	}
}

// validator checks JSON by a schema, or a definition in it ("#/$defs/Name").
func validator(t *testing.T, schema string) func(b []byte) error {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schema)
	if err != nil {
		t.Fatal(err)
	}
	return func(b []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return err
		}
		return s.Validate(v)
	}
}

const schemaFile = "record.schema.json"

func TestSchema(t *testing.T) {
	g := &generator{about: comments(t, "record.go", "resources.go", "sample.go")}
	s := g.object(reflect.TypeFor[Record]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = RecordSchema
	s["description"] = "The final word of supervise about a job. What is not known is null, never zero. Fields may be added."
	wantFile(t, schemaFile, s)
}

// TestRecordsAreValid: what is written is what the schema says; what is not is seen.
func TestRecordsAreValid(t *testing.T) {
	validate := validator(t, schemaFile)
	for name, r := range map[string]*Record{"full": fullRecord(), "start failed": startFailed()} {
		b, err := Marshal(r)
		if err == nil {
			err = validate(b)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{`{}`, `[]`, `{"schema":"supervise.record/2"}`} {
		if validate([]byte(bad)) == nil {
			t.Errorf("%s is valid", bad)
		}
	}
}
