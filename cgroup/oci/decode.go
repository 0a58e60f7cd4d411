package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// maxDocument is the most that Decode reads: configurations have some 10 KiB.
const maxDocument = 4 << 20

// Decode reads a JSON document that is a LinuxResources object, or a whole
// config.json, in which only linux.resources counts. It refuses what it does not
// know, with its name: a limit with a typing error is no limit.
func Decode(r io.Reader) (*specs.LinuxResources, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the resources: %w", err)
	case len(text) > maxDocument:
		return nil, fmt.Errorf("the document is larger than %d MiB", maxDocument>>20)
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, explain(text, err)
	}
	if _, isSpec := document["linux"]; isSpec || document["ociVersion"] != nil {
		if document, err = linuxResources(document["linux"]); err != nil {
			return nil, err
		}
	}
	if document == nil {
		return nil, errNoObject
	}
	return decode(document)
}

var errNoObject = errors.New("the document is not a JSON object of resources")

// linuxResources finds the resources in a config.json.
func linuxResources(text json.RawMessage) (map[string]json.RawMessage, error) {
	var linux struct {
		Resources map[string]json.RawMessage `json:"resources"`
	}
	if text != nil {
		if err := json.Unmarshal(text, &linux); err != nil {
			return nil, inside("linux", err)
		}
	}
	if linux.Resources == nil {
		return nil, errors.New("the document has no linux.resources")
	}
	return linux.Resources, nil
}

// decode decodes one part after the other, so that an error can say in which it is.
func decode(document map[string]json.RawMessage) (*specs.LinuxResources, error) {
	var r specs.LinuxResources
	parts := map[string]any{
		"devices":        &r.Devices,
		"memory":         &r.Memory,
		"cpu":            &r.CPU,
		"pids":           &r.Pids,
		"blockIO":        &r.BlockIO,
		"hugepageLimits": &r.HugepageLimits,
		"network":        &r.Network,
		"rdma":           &r.Rdma,
		"unified":        &r.Unified,
	}
	for _, name := range slices.Sorted(maps.Keys(document)) {
		part := parts[name]
		if part == nil {
			return nil, fmt.Errorf("unknown field %q", name)
		}
		d := json.NewDecoder(bytes.NewReader(document[name]))
		d.DisallowUnknownFields()
		if err := d.Decode(part); err != nil {
			return nil, inside(name, err)
		}
	}
	return &r, nil
}

// inside puts an error of encoding/json in our words, and says where it is.
func inside(part string, err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("%s: %s", part, trimJSON(err))
	}
	if wrong.Field != "" { // which has the name of the Go type that devices embed
		part += "." + strings.ReplaceAll(wrong.Field, "LinuxBlockIODevice.", "")
	}
	return fmt.Errorf("%s: %s where %s belongs", part, wrong.Value, describe(wrong.Type))
}

func trimJSON(err error) string { return strings.TrimPrefix(err.Error(), "json: ") }

// describe names a type of a document.
func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<t.Bits()-1)
	}
	return "a whole number"
}

// explain says in which line of a document an error is.
func explain(text []byte, err error) error {
	var wrong *json.SyntaxError
	if !errors.As(err, &wrong) {
		return errNoObject
	}
	line := 1 + bytes.Count(text[:min(int(wrong.Offset), len(text))], []byte("\n"))
	return fmt.Errorf("line %d: %s", line, trimJSON(err))
}
