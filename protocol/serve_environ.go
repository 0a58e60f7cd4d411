package protocol

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// Environ is an environment. In JSON it is an object, {"NAME":VALUE}, or, as a name may
// have bytes that are no UTF-8, a list of "NAME=VALUE", of which the last of a name counts.
type Environ map[string]string

// MarshalJSON implements json.Marshaler.
func (e Environ) MarshalJSON() ([]byte, error) {
	list, plain := Texts{}, true
	for name, value := range e {
		list = append(list, name+"="+value)
		plain = plain && Text(name).plain() && Text(value).plain()
	}
	if !plain {
		return unescaped(list)
	}
	return unescaped(map[string]string(e))
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Environ) UnmarshalJSON(b []byte) error {
	var changes EnvironUpdate
	if err := json.Unmarshal(b, &changes); err != nil || changes == nil {
		return err
	}
	*e = make(Environ, len(changes))
	for name, value := range changes {
		if value == nil && isList(b) {
			return &json.UnmarshalTypeError{Value: "list with an element that is not NAME=VALUE", Type: reflect.TypeFor[Environ]()}
		} else if value != nil {
			(*e)[name] = *value
		}
	}
	return nil
}

// EnvironUpdate changes an environment; nil removes a variable. In JSON it is an object or
// a list, as Environ; there null, and in the list a name without "=", removes a variable.
type EnvironUpdate map[string]*string

// MarshalJSON implements json.Marshaler.
func (u EnvironUpdate) MarshalJSON() ([]byte, error) {
	list, plain := Texts{}, true
	for name, value := range u {
		text := name
		if value != nil {
			text += "=" + *value
			plain = plain && Text(*value).plain()
		}
		list, plain = append(list, text), plain && Text(name).plain()
	}
	if !plain {
		return unescaped(list)
	}
	return unescaped(map[string]*string(u))
}

// UnmarshalJSON implements json.Unmarshaler.
func (u *EnvironUpdate) UnmarshalJSON(b []byte) error {
	switch {
	case hasHalfPair(b):
		return halfPair(reflect.TypeFor[Environ]())
	case isList(b):
		return u.unmarshalList(b)
	}
	var values map[string]*Text
	if err := json.Unmarshal(b, &values); err != nil || values == nil {
		return err
	}
	*u = make(EnvironUpdate, len(values))
	for name, value := range values {
		(*u)[name] = (*string)(value)
	}
	return nil
}

func isList(b []byte) bool { return bytes.HasPrefix(b, []byte("[")) }

func (u *EnvironUpdate) unmarshalList(b []byte) error {
	var list Texts
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*u = make(EnvironUpdate, len(list))
	for _, text := range list {
		name, value, given := strings.Cut(text, "=")
		if (*u)[name] = nil; given {
			(*u)[name] = &value
		}
	}
	return nil
}
