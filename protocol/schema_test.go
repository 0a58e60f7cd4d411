package protocol

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
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

// schemaOf describes a type; a pointer may be null.
func schemaOf(t reflect.Type, about map[string]string) object {
	switch t {
	case reflect.TypeFor[Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Containment]():
		return object{"enum": []any{ContainmentCgroup, ContainmentSubreaper, nil}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		s := schemaOf(t.Elem(), about)
		s["type"] = []any{s["type"], "null"}
		return s
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), about)}
	case reflect.Struct:
		return structSchema(t, about)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	}
	panic("no schema for " + t.String())
}

func structSchema(t reflect.Type, about map[string]string) object {
	properties, required := object{}, []string{}
	for f := range t.Fields() {
		name := f.Tag.Get("json")
		s := schemaOf(f.Type, about)
		if text := about[t.Name()+"."+f.Name]; text != "" {
			s["description"] = text
		}
		if name == "schema" {
			s = object{"const": RecordSchema}
		}
		if name == "devices" || name == "phases" { // the lists that may be unknown
			s["type"] = []any{"array", "null"}
		}
		properties[name], required = s, append(required, name)
	}
	return object{"type": "object", "properties": properties, "required": required}
}

const schemaFile = "record.schema.json"

func TestSchema(t *testing.T) {
	s := structSchema(reflect.TypeFor[Record](), comments(t, "record.go", "resources.go", "sample.go"))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = RecordSchema
	s["description"] = "The final word of supervise about a job. What is not known is null, never zero. Fields may be added."
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(schemaFile); err != nil || !bytes.Equal(have, b) {
		t.Errorf("%s is not that of the types (go test -update writes it anew): %v", schemaFile, err)
	}
}

// TestRecordsAreValid: what is written is what the schema says; what is not is seen.
func TestRecordsAreValid(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	validate := func(b []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return err
		}
		return schema.Validate(v)
	}
	for name, r := range map[string]*Record{"full": fullRecord(), "start failed": startFailed()} {
		b, err := json.Marshal(r)
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
