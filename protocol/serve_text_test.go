package protocol

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestText: any bytes come back as they were, and what a string can say well is one.
func TestText(t *testing.T) {
	for text, want := range map[Text]string{
		"":                           `""`,
		"a":                          `"a"`,
		"é\t\"<&>\n":                 `"é\t\"<&>\n"`,
		"\x1b[1mbold\x1b[0m":         `"\u001b[1mbold\u001b[0m"`,
		"\ufffd":                     `"` + "\ufffd" + `"`,
		"\xff":                       `{"base64":"/w=="}`,
		"caf\xe9":                    `{"base64":"Y2Fm6Q=="}`,
		"\xed\xa0\x80":               `{"base64":"7aCA"}`,
		Text("\x01\x02\x03" + "abc"): `{"base64":"AQIDYWJj"}`,
	} {
		b, err := unescaped(text)
		if err != nil || string(b) != want {
			t.Errorf("%q: %s, %v; want %s", text, b, err, want)
		}
		var again Text
		if err := json.Unmarshal(b, &again); err != nil || again != text {
			t.Errorf("%s: %q, %v", b, again, err)
		}
	}
}

func TestNoText(t *testing.T) {
	for _, bad := range []string{
		`7`, `true`, `[]`, `["a"]`, `{}`, `{"base64":null}`, `{"base64":"/w"}`, `{"base64":"!"}`, `{"base64":7}`, `{"base64":[255]}`, `{"text":"a"}`,
		`"\udcff"`,
	} {
		var p SpawnParams
		err := json.Unmarshal([]byte(`{"cwd":`+bad+`}`), &p)
		if wrong, ok := err.(*json.UnmarshalTypeError); !ok || wrong.Field != "cwd" {
			t.Errorf("%s: %q, %v", bad, p.Cwd, err)
		}
		err = json.Unmarshal([]byte(`{"argv":["a",`+bad+`]}`), &p)
		if wrong, ok := err.(*json.UnmarshalTypeError); !ok || wrong.Field != "argv" {
			t.Errorf("%s: %q, %v", bad, p.Argv, err)
		}
	}
}

func TestHalfPair(t *testing.T) {
	for line, want := range map[string]bool{
		``: false, `{}`: false, `\`: false, `\u`: false, `\udcf`: false, `a\u0041\n`: false, `\ufffd`: false, "\ufffd": false,
		`\udcff`: true, `x\uDCFF"`: true, `\ud83d`: true, `\ud83dx\ude00`: true, `\ude00\ud83d`: true, `\ud83d\ud83d\ude00`: true,
		`\ud83d\ude00`: false, `\uD83D\uDE00\uD83D\uDE00`: false, `\\udcff`: false, `\\\udcff`: true, `\"\udcff`: true,
	} {
		if got := hasHalfPair([]byte(line)); got != want {
			t.Errorf("%q: %t", line, got)
		}
	}
}

// TestEnviron: an object where that can say it, else a list.
func TestEnviron(t *testing.T) {
	for _, tt := range []struct {
		environ Environ
		want    string
	}{
		{nil, `{}`},
		{Environ{}, `{"env":{}}`},
		{Environ{"A": "b", "E": ""}, `{"env":{"A":"b","E":""}}`},
		{Environ{"A": "\xff=b"}, `{"env":[{"base64":"QT3/PWI="}]}`},
		{Environ{"\xff": "b"}, `{"env":[{"base64":"/z1i"}]}`},
	} {
		var p struct {
			Env Environ `json:"env,omitzero"`
		}
		p.Env = tt.environ
		b, err := json.Marshal(p)
		if err != nil || string(b) != tt.want {
			t.Errorf("%q: %s, %v; want %s", tt.environ, b, err, tt.want)
		}
		p.Env = nil
		if err := json.Unmarshal(b, &p); err != nil || !maps.Equal(p.Env, tt.environ) || (p.Env == nil) != (tt.environ == nil) {
			t.Errorf("%s: %q, %v", b, p.Env, err)
		}
	}
}

func TestEnvironUpdate(t *testing.T) {
	for text, want := range map[string]string{
		`null`: ``, `{}`: ``, `[]`: ``,
		`{"A":"b","C":null}`:                    `-C A=b`,
		`{"A":{"base64":"/w=="}}`:               "A=\xff",
		`["A=b","C","E=","A=c=d"]`:              `-C A=c=d E=`,
		`["A=b","A"]`:                           `-A`,
		`[{"base64":"/z3+"},{"base64":"/g=="}]`: "-\xfe \xff=\xfe",
	} {
		var u, again EnvironUpdate
		if err := json.Unmarshal([]byte(text), &u); err != nil || changes(u) != want {
			t.Errorf("%s: %q, %v; want %q", text, changes(u), err, want)
		}
		b, err := json.Marshal(u)
		if err == nil {
			err = json.Unmarshal(b, &again)
		}
		if err != nil || changes(again) != want {
			t.Errorf("%s became %s, and %q, %v", text, b, changes(again), err)
		}
	}
}

func changes(u EnvironUpdate) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(u)) {
		if u[name] == nil {
			words = append(words, "-"+name)
		} else {
			words = append(words, name+"="+*u[name])
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func TestNoEnviron(t *testing.T) {
	for _, bad := range []string{`7`, `"A=b"`, `{"A":7}`, `{"A":{}}`, `["A=b",7]`, `["A=b",{}]`, `["A=b","C"]`, `{"\udcff":"b"}`, `["A=\udcff"]`} {
		var p SpawnParams
		if err := json.Unmarshal([]byte(`{"env":`+bad+`}`), &p); err == nil {
			t.Errorf("%s: %q", bad, p.Env)
		}
		if bad == `["A=b","C"]` {
			continue
		}
		if err := json.Unmarshal([]byte(`{"env_update":`+bad+`}`), &p); err == nil {
			t.Errorf("%s: %q", bad, changes(p.EnvUpdate))
		}
	}
}

// TestLongestCommand: all that execve(2) takes, 6 MiB, fits into a request, of whatever bytes it is. For each string the
// kernel counts its NUL and a pointer.
func TestLongestCommand(t *testing.T) {
	const most = 6 << 20
	for _, piece := range []string{"a", `"`, "\x01", "<", "\x7f", "\n", "\xff", "é", "\u2028", "ab\x01", "abcdefg\x01", "\"\"\"\"\"\"\"\x01"} {
		for _, size := range []int{0, 1, 7, 64, 4096, 128<<10 - 1} {
			text := strings.Repeat(piece, size/len(piece))
			b, err := unescaped(Text(text))
			if all := (len(b) + len(",")) * (most / (len(text) + 9)); err != nil || all > MaxRequest-1000 {
				t.Errorf("%q, in strings of %d bytes: %d bytes, %v", piece, size, all, err)
			}
		}
	}
}

// FuzzSpawnParams: decode, encode, decode.
func FuzzSpawnParams(f *testing.F) {
	f.Add([]byte(`{"argv":["a",{"base64":"/w=="}],"path":"p","cwd":{"base64":"/w=="},"env":{"A":"b"},"env_update":{"C":null},"stdio":[{"file":"f"},"pipe"]}`))
	f.Add([]byte(`{"argv":null,"env":[{"base64":"/z3+"},"A=b"],"env_update":["A","B=c"],"name":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, again SpawnParams
		if json.Unmarshal(b, &p) != nil {
			return
		}
		first, err := unescaped(p)
		if err == nil {
			err = json.Unmarshal(first, &again)
		}
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, err := unescaped(again); err != nil || len(second) != len(first) || !slices.Equal(again.Argv, p.Argv) {
			t.Errorf("%s, then %s, %v", first, second, err)
		}
		if bytes.ContainsRune(first, '\n') {
			t.Errorf("%q is more than a line", first)
		}
	})
}
