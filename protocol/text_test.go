package protocol

import (
	"slices"
	"strings"
	"testing"
)

// textConversations are what an owner may send by the text protocol, for all ways to cut it.
var textConversations = []struct {
	name    string
	text    string
	want    []int32 // signals
	ignored int     // how many lines mean nothing
	rest    bool    // the last line has no end: as a message it is one request more, for the signal 9
}{
	{name: "nothing"},
	{name: "probe", text: "signal 0\n", want: []int32{0}},
	{name: "two lines", text: "signal 15\nsignal 64\n", want: []int32{15, 64}},
	{name: "blanks", text: "\n  signal\t2 \r\n\n", want: []int32{2}},
	{name: "no end", text: "signal 1\nsignal 9", want: []int32{1}, rest: true},
	{name: "signal 65", text: "signal 65\n", ignored: 1},
	{name: "signal -1", text: "signal -1\nsignal 3\n", want: []int32{3}, ignored: 1},
	{name: "other words", text: "signal\nsignals 9\nsignal nine\nsignal 9 9\nkill\nsignal_all 9\n", ignored: 6},
	{name: "bytes", text: "\xff\x00\n\x00\x00\n", ignored: 2},
}

func textRequests(pid int32, signals []int32) (list []Request) {
	for _, sig := range signals {
		list = append(list, Request{pid, sig})
	}
	return list
}

func TestTextDecoder(t *testing.T) {
	for _, tt := range textConversations {
		t.Run(tt.name, func(t *testing.T) {
			want := textRequests(42, tt.want)
			splittings([]byte(tt.text), func(pieces [][]byte) {
				d := TextDecoder{PID: 42}
				var got []Request
				for _, p := range pieces {
					got = append(got, d.Decode(p)...)
				}
				if n, first := d.Ignored(); !slices.Equal(got, want) || n != tt.ignored || (first != nil) != (n > 0) {
					t.Fatalf("in pieces %q: got %v, ignored %d, first %v; want %v, %d", pieces, got, n, first, want, tt.ignored)
				}
				if err := d.Close(); err != nil {
					t.Fatalf("in pieces %q: Close: %v", pieces, err)
				}
			})
			if tt.rest {
				want = append(want, Request{42, 9})
			}
			d := TextDecoder{PID: 42}
			if got, err := d.DecodeMessage([]byte(tt.text)); err != nil || !slices.Equal(got, want) {
				t.Errorf("as a message: %v, %v; want %v", got, err, want)
			}
			if got, err := d.DecodeMessage([]byte("signal 5")); err != nil || !slices.Equal(got, []Request{{42, 5}}) {
				t.Errorf("the next message: %v, %v", got, err)
			}
		})
	}
}

// TestTextDecoderAfterTheEnd: no request is for a pid that may be another's.
func TestTextDecoderAfterTheEnd(t *testing.T) {
	var d TextDecoder
	if got := d.Decode([]byte("signal 9\n")); len(got) > 0 {
		t.Errorf("got %v", got)
	}
	if n, _ := d.Ignored(); n > 0 {
		t.Errorf("%d mean nothing", n)
	}
}

// TestTextDecoderEndless: a line that does not end takes no memory.
func TestTextDecoderEndless(t *testing.T) {
	d := TextDecoder{PID: 42}
	for range 100 {
		d.Decode([]byte(strings.Repeat("signal ", 500)))
		if len(d.rest) > maxTextLine {
			t.Fatalf("%d bytes are kept", len(d.rest))
		}
	}
	if got := d.Decode([]byte("\nsignal 9\n")); !slices.Equal(got, []Request{{42, 9}}) {
		t.Errorf("got %v", got)
	}
	if n, first := d.Ignored(); n == 0 || len(first.Error()) > 200 {
		t.Errorf("ignored %d, %v", n, first)
	}
}

func TestTextEnd(t *testing.T) {
	for code, want := range map[Code]string{
		Exited: "exited 9\n", Killed: "killed 9\n", Dumped: "dumped 9\n", Trapped: "", Stopped: "", Continued: "",
	} {
		if got := TextEnd(NewEvent(code, 42, 0, 9)); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}

// FuzzTextDecoder: however the text is cut, the requests are the same.
func FuzzTextDecoder(f *testing.F) {
	for _, c := range textConversations {
		f.Add([]byte(c.text), []byte{3})
	}
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		if len(b) > maxTextLine {
			return // a line that does not end in time is another one in pieces
		}
		whole, pieces := TextDecoder{PID: 42}, TextDecoder{PID: 42}
		want := whole.Decode(b)
		var got []Request
		for _, p := range chop(b, sizes) {
			got = append(got, pieces.Decode(p)...)
		}
		n, _ := whole.Ignored()
		if m, _ := pieces.Ignored(); !slices.Equal(got, want) || m != n {
			t.Fatalf("in pieces: %v, ignored %d; in one: %v, ignored %d", got, m, want, n)
		}
		for _, r := range got {
			if r.PID != 42 || r.Signal < 0 || r.Signal > maxSignal {
				t.Fatalf("request %v", r)
			}
		}
	})
}
