package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is what the kernel takes as it is: an argument, a path, a name. It may have any
// bytes. In JSON it is a string, or {"base64":TEXT} where that is no UTF-8, or JSON would
// make it much longer.
type Text string

// encoded is Text in its other form.
type encoded struct {
	Base64 *string `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if !t.plain() {
		return json.Marshal(encoded{new(base64.StdEncoding.EncodeToString([]byte(t)))})
	}
	return unescaped(string(t))
}

// plain says whether a string says it well. A control character may take six bytes there:
// with few of them what execve(2) takes always fits into a request.
func (t Text) plain() bool {
	controls := 0
	for _, c := range []byte(t) {
		if c < ' ' && !strings.ContainsRune("\b\t\n\f\r", rune(c)) {
			controls++
		}
	}
	return controls <= len(t)/8+1 && utf8.ValidString(string(t))
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	switch {
	case hasHalfPair(b):
		return halfPair(reflect.TypeFor[Text]())
	case !bytes.HasPrefix(b, []byte("{")):
		return json.Unmarshal(b, (*string)(t))
	}
	var e encoded
	if json.Unmarshal(b, &e) == nil && e.Base64 != nil {
		if b, err := base64.StdEncoding.DecodeString(*e.Base64); err == nil {
			*t = Text(b)
			return nil
		}
	}
	return &json.UnmarshalTypeError{Value: `object, unless it is {"base64":TEXT}`, Type: reflect.TypeFor[Text]()}
}

// Texts are several: an argument vector.
type Texts []string

// MarshalJSON implements json.Marshaler.
func (t Texts) MarshalJSON() ([]byte, error) {
	list := make([]Text, len(t))
	for i, s := range t {
		list[i] = Text(s)
	}
	return unescaped(list)
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Texts) UnmarshalJSON(b []byte) error {
	var list []Text
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*t = make(Texts, len(list))
	for i, s := range list {
		(*t)[i] = string(s)
	}
	return nil
}

// unescaped is json.Marshal without the escapes that make JSON fit for HTML: of "<" they
// would make six bytes.
func unescaped(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// halfPair is the error for text that encoding/json would change: see hasHalfPair.
func halfPair(t reflect.Type) error {
	return &json.UnmarshalTypeError{Value: "string with half of a surrogate pair", Type: t}
}

// hasHalfPair looks for an escape such as \udcff that is no half of a pair: it is how
// Python's json writes a byte that is no UTF-8.
func hasHalfPair(b []byte) bool {
	for rest := b; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 || len(rest) < i+2 {
			return false
		}
		first := surrogate(rest[i:])
		switch {
		case first == 0:
			rest = rest[i+2:]
		case utf16.DecodeRune(first, surrogate(rest[i+6:])) == utf8.RuneError:
			return true
		default:
			rest = rest[i+12:]
		}
	}
}

// surrogate reads the escape of a half of a surrogate pair; 0: there is none.
func surrogate(b []byte) rune {
	if len(b) < 6 || string(b[:2]) != `\u` {
		return 0
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil || !utf16.IsSurrogate(rune(n)) {
		return 0
	}
	return rune(n)
}
