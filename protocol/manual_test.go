package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sections are those of a manual page, by heading.
func sections(t *testing.T, page string) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../contrib/man/" + page)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, part := range regexp.MustCompile(`(?m)^\.S[sh] `).Split(string(b), -1) {
		heading, text, _ := strings.Cut(part, "\n")
		found[heading] = text
	}
	return found
}

// listed are the items of the lists in a section that are marked by a macro, "Va" or "Li", each with its text. Several
// may have the same.
func listed(section, macro string) map[string]string {
	found := map[string]string{}
	for _, part := range strings.Split("\n"+section, "\n.It "+macro+" ")[1:] {
		part, _, _ = strings.Cut(part, "\n.El")
		head, text, _ := strings.Cut(part, "\n")
		for name := range strings.SplitSeq(head, " , ") {
			found[name] = text
		}
	}
	return found
}

// TestManualNamesFields: supervise.record(5) explains every field of the record and of a sample where its type is, with the
// unit, and says what null means where it may be; and it explains no other.
func TestManualNamesFields(t *testing.T) {
	page := sections(t, "supervise.record.5")
	for heading, layouts := range map[string][]reflect.Type{
		"Record": {reflect.TypeFor[Record]()}, "exit": {reflect.TypeFor[Exit]()}, "cpu": {reflect.TypeFor[CPU]()},
		"memory": {reflect.TypeFor[Memory]()}, "memory.events": {reflect.TypeFor[MemoryEvents]()},
		"memory.at_peak": {reflect.TypeFor[MemorySplit]()}, "io": {reflect.TypeFor[IO]()}, "io.devices": {reflect.TypeFor[DeviceIO]()},
		"pids": {reflect.TypeFor[Pids]()}, "pressure": {reflect.TypeFor[Pressure](), reflect.TypeFor[Stall]()},
		"main": {reflect.TypeFor[MainUsage]()}, "oom": {reflect.TypeFor[OOM]()}, "leftovers": {reflect.TypeFor[Leftover]()},
		"limits": {reflect.TypeFor[Limit]()}, "unenforced": {reflect.TypeFor[Unenforced]()}, "phases": {reflect.TypeFor[Phase]()},
		"Samples": {reflect.TypeFor[Sample]()},
	} {
		section, found := page[heading]
		if !found {
			t.Errorf("there is no section %q", heading)
		}
		explained := listed(section, "Va")
		about, _, _ := strings.Cut(section, ".Bl ")
		for _, layout := range layouts {
			for f := range layout.Fields() {
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				text, found := explained[name]
				switch {
				case !found:
					t.Errorf("%s: %s is missing", heading, name)
				case strings.HasSuffix(name, "_s") && !strings.Contains(text, "econds"), strings.HasSuffix(name, "_bytes") && !strings.Contains(text, "ytes"):
					t.Errorf("%s: %s has no unit", heading, name)
				case f.Type.Kind() == reflect.Pointer && !strings.Contains(strings.ToLower(about+text), "null"):
					t.Errorf("%s: what null means as %s is not said", heading, name)
				}
				delete(explained, name)
			}
		}
		for name := range explained {
			t.Errorf("%s: %s is explained, but there is none", heading, name)
		}
	}
	for heading, words := range map[string][]any{
		"cause": constants(t, "record.go")["Cause"], "oom": {OOMByJob, OOMByAncestor, OOMByOutside, OOMByMachine, OOMByDaemon},
	} {
		for _, word := range words {
			if !strings.Contains(page[heading], "Li "+word.(string)) {
				t.Errorf("%s: %s is missing", heading, word)
			}
		}
	}
}

// codes are the values of the error codes.
func codes(t *testing.T) (values []any) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "serve.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Code") {
			values = append(values, "-"+spec.Values[0].(*ast.UnaryExpr).X.(*ast.BasicLit).Value)
		}
		return true
	})
	return values
}

// TestManualNamesMessages: supervise-serve(7) explains every method, notification, error and parameter of spawn, and no
// other.
func TestManualNamesMessages(t *testing.T) {
	page := sections(t, "supervise-serve.7")
	var parameters []any
	for f := range reflect.TypeFor[SpawnParams]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		parameters = append(parameters, name)
	}
	for heading, known := range map[string][]any{
		"Methods": constants(t, "serve.go")["Method"], "Notifications": constants(t, "serve.go")["Note"],
		"Errors": codes(t), "A job": parameters,
	} {
		explained := listed(page[heading], "Li")
		if len(known) == 0 {
			t.Errorf("%s: nothing is known", heading)
		}
		for _, name := range known {
			if explained[name.(string)] == "" {
				t.Errorf("%s: %s is missing", heading, name)
			}
		}
		for name := range explained {
			if !slices.Contains(known, any(name)) {
				t.Errorf("%s: %s is explained, but there is none", heading, name)
			}
		}
	}
	if version := strconv.Itoa(ServeVersion); !strings.Contains(page["Methods"], "there is "+version+".") {
		t.Errorf("the version is %s", version)
	}
}
