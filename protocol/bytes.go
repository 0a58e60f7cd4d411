package protocol

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Text that comes from outside, such as an argument or the name of a cgroup, may have any
// bytes, and JSON has only UTF-8: there each byte that is none becomes U+FFFD. Where that
// happens to a field, its bytes are beside it in base64, as FIELD_base64; elsewhere there is
// no such field. Of a list it has all elements.
//
// In Go these are the fields whose names end in Base64. Marshal fills them in, and Unmarshal
// puts the bytes back where they belong, so that a program need not look at them.

// twin ends the name of the field that has the bytes of another.
const twin = "Base64"

// Marshal is json.Marshal, and keeps bytes that are not UTF-8.
func Marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	// So encoding/json writes such a byte; U+FFFD itself it does not escape.
	if err != nil || !bytes.Contains(b, []byte(`\ufffd`)) {
		return b, err
	}
	return json.Marshal(withBytes(reflect.ValueOf(v)).Interface())
}

// Unmarshal is json.Unmarshal for what Marshal has written.
func Unmarshal(b []byte, v any) error {
	err := json.Unmarshal(b, v)
	if bytes.Contains(b, []byte(`_base64"`)) {
		putBack(reflect.ValueOf(v))
	}
	return err
}

// withBytes returns a copy in which every field has its twin, if it needs one.
func withBytes(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				c.Field(i).Set(withBytes(v.Field(i)))
			}
		}
		eachTwin(c, fillIn)
	case v.Kind() == reflect.Slice && !v.IsNil() && holdsStructs(v.Type().Elem()):
		c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			c.Index(i).Set(withBytes(v.Index(i)))
		}
	case v.Kind() == reflect.Pointer && !v.IsNil() && holdsStructs(v.Type().Elem()):
		c.Set(reflect.New(v.Type().Elem()))
		c.Elem().Set(withBytes(v.Elem()))
	case v.Kind() == reflect.Interface && !v.IsNil():
		c.Set(withBytes(v.Elem()))
	}
	return c
}

// putBack gives the bytes of every twin to its field.
func putBack(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				putBack(v.Field(i))
			}
		}
		eachTwin(v, takeOut)
	case v.Kind() == reflect.Slice && holdsStructs(v.Type().Elem()):
		for i := range v.Len() {
			putBack(v.Index(i))
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		putBack(v.Elem())
	}
}

func holdsStructs(t reflect.Type) bool { return t.Kind() == reflect.Struct }

// eachTwin calls f with each field of a struct that has a twin, and that.
func eachTwin(v reflect.Value, f func(text, bytes reflect.Value)) {
	for i := range v.NumField() {
		if name, ok := strings.CutSuffix(v.Type().Field(i).Name, twin); ok {
			f(v.FieldByName(name), v.Field(i))
		}
	}
}

// fillIn sets a twin, if the text needs one.
func fillIn(text, twin reflect.Value) {
	switch t := text.Interface().(type) {
	case string:
		if !utf8.ValidString(t) {
			twin.SetBytes([]byte(t))
		}
	case *string:
		if t != nil && !utf8.ValidString(*t) {
			twin.SetBytes([]byte(*t))
		}
	case []string:
		if utf8.ValidString(strings.Join(t, " ")) {
			return
		}
		list := make([][]byte, len(t))
		for i, one := range t {
			list[i] = []byte(one)
		}
		twin.Set(reflect.ValueOf(list))
	}
}

// takeOut sets a text by its twin, if it has one, which it clears.
func takeOut(text, twin reflect.Value) {
	if twin.IsNil() {
		return
	}
	switch b := twin.Interface().(type) {
	case []byte:
		s := reflect.ValueOf(string(b))
		if text.Kind() == reflect.Pointer {
			text.Set(reflect.New(s.Type()))
			text = text.Elem()
		}
		text.Set(s)
	case [][]byte:
		list := make([]string, len(b))
		for i, one := range b {
			list[i] = string(one)
		}
		text.Set(reflect.ValueOf(list))
	}
	twin.SetZero()
}
