package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// needLittleEndian skips tests whose golden bytes are of a little-endian machine.
func needLittleEndian(t *testing.T) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the golden bytes are little-endian")
	}
}

// unhex reads hexadecimal digits with spaces between.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppendRequest(t *testing.T) {
	needLittleEndian(t)
	tests := []struct {
		name string
		r    Request
		want string // pid, signal
	}{
		{"zero", Request{}, "00000000 00000000"},
		{"term", Request{1, 15}, "01000000 0f000000"},
		{"order of bytes", Request{0x01020304, 9}, "04030201 09000000"},
		{"largest", Request{4194304, 64}, "00004000 40000000"},
		{"negative", Request{-1, 2}, "ffffffff 02000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prefix := []byte("before")
			got := AppendRequest(prefix, tt.r)
			if want := append(prefix, unhex(t, tt.want)...); !bytes.Equal(got, want) {
				t.Errorf("AppendRequest(%q, %v) = %x, want %x", prefix, tt.r, got, want)
			}
		})
	}
}

// conversations are what an owner may send, in one table for all ways to cut it.
var conversations = []struct {
	name     string
	bytes    string
	want     []Request
	ignored  int  // how many others mean nothing
	unclosed bool // Close fails: bytes of an unfinished request
}{
	{name: "nothing"},
	{name: "probe", bytes: "2a000000 00000000", want: []Request{{42, 0}}},
	{name: "two", bytes: "01000000 0f000000 0a000000 09000000", want: []Request{{1, 15}, {10, 9}}},
	{name: "not of this world", bytes: "ffffffff 40000000 00000080 01000000", want: []Request{{-1, 64}, {-1 << 31, 1}}},
	{name: "a byte", bytes: "01", unclosed: true},
	{name: "seven bytes", bytes: "01000000 0f0000", unclosed: true},
	{name: "one and a half", bytes: "01000000 0f000000 0a000000", want: []Request{{1, 15}}, unclosed: true},
	{name: "signal 65", bytes: "01000000 41000000", ignored: 1},
	{name: "signal -1", bytes: "01000000 ffffffff", ignored: 1},
	{name: "text", bytes: "6b696c6c 20310a20", ignored: 1},
	{name: "good, then rubbish", bytes: "01000000 0f000000 01000000 00010000", want: []Request{{1, 15}}, ignored: 1},
	{name: "rubbish, then good", bytes: "01000000 00010000 01000000 0f000000", want: []Request{{1, 15}}, ignored: 1},
	{name: "rubbish twice, then a stub", bytes: "ffffffff ffffffff ffffffff ffffffff ff", ignored: 2, unclosed: true},
	{
		name:  "five",
		bytes: "01000000 01000000 02000000 02000000 03000000 03000000 04000000 04000000 05000000 05000000",
		want:  []Request{{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}},
	},
}

// splittings calls f with every way to cut b into pieces; with every way to cut
// it into three at most, if those are too many.
func splittings(b []byte, f func(pieces [][]byte)) {
	if len(b) > 16 {
		for i := range len(b) + 1 {
			for j := i; j <= len(b); j++ {
				f([][]byte{b[:i], b[i:j], b[j:]})
			}
		}
		return
	}
	for cuts := range 1 << max(len(b)-1, 0) { // bit i: a cut behind byte i
		var pieces [][]byte
		from := 0
		for i := range b {
			if i == len(b)-1 || cuts>>i&1 == 1 {
				pieces = append(pieces, b[from:i+1])
				from = i + 1
			}
		}
		f(pieces)
	}
}

// decodeAll feeds pieces to a decoder.
func decodeAll(d *RequestDecoder, pieces [][]byte) (all []Request) {
	for _, p := range pieces {
		all = append(all, d.Decode(p)...)
	}
	return all
}

func TestRequestDecoder(t *testing.T) {
	needLittleEndian(t)
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			splittings(unhex(t, tt.bytes), func(pieces [][]byte) {
				var d RequestDecoder
				if got := decodeAll(&d, pieces); !slices.Equal(got, tt.want) {
					t.Fatalf("in pieces %x: got %v, want %v", pieces, got, tt.want)
				}
				if n, first := d.Ignored(); n != tt.ignored || (first != nil) != (n > 0) {
					t.Fatalf("in pieces %x: ignored %d, first %v; want %d", pieces, n, first, tt.ignored)
				}
				if err := d.Close(); (err != nil) != tt.unclosed || err != nil && !errors.Is(err, ErrSyntax) {
					t.Fatalf("in pieces %x: Close: error %v; want one: %t", pieces, err, tt.unclosed)
				}
			})
		})
	}
}

// TestDecodeMessage: what is behind the last request of a message is ignored, and does not begin the next one.
func TestDecodeMessage(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.bytes)
			ignored := tt.ignored
			if len(b) == 0 || tt.unclosed {
				ignored++
			}
			var d RequestDecoder
			got, err := d.DecodeMessage(b)
			if short := 0 < len(b) && len(b) < RequestSize; short {
				if err == nil || !errors.Is(err, ErrSyntax) {
					t.Errorf("error %v", err)
				}
				return
			}
			if n, first := d.Ignored(); err != nil || !slices.Equal(got, tt.want) || n != ignored || (first != nil) != (n > 0) {
				t.Errorf("got %v, %v, ignored %d, first %v; want %v, ignored %d", got, err, n, first, tt.want, ignored)
			}
			want := Request{4711, 15}
			if got, err := d.DecodeMessage(AppendRequest(nil, want)); err != nil || !slices.Equal(got, []Request{want}) {
				t.Errorf("the next message: %v, %v", got, err)
			}
		})
	}
}

// TestIgnored: it is said what was ignored first.
func TestIgnored(t *testing.T) {
	var d RequestDecoder
	d.DecodeMessage(AppendRequest(nil, Request{42, 65}))
	d.DecodeMessage(nil)
	if n, first := d.Ignored(); n != 2 || first.Error() != "signal 65 for process 42, and not 0 to 64" {
		t.Errorf("%d, %v", n, first)
	}
}

// The decoder must not keep the buffer that its caller reads into.
func TestRequestDecoderKeepsNoInput(t *testing.T) {
	want := Request{1234, 15}
	b := AppendRequest(nil, want)
	buf := make([]byte, 4)
	var d RequestDecoder
	copy(buf, b)
	if got := d.Decode(buf); len(got) != 0 {
		t.Fatalf("half a request: %v", got)
	}
	copy(buf, b[4:])
	if got := d.Decode(buf); !slices.Equal(got, []Request{want}) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNewEvent(t *testing.T) {
	needLittleEndian(t)
	tests := []struct {
		name string
		e    *Event
		want string // signo, errno, code, padding, pid, uid, status; the rest is zero
	}{
		{"exited", NewEvent(Exited, 1, 0, 0), "11000000 00000000 01000000 00000000 01000000 00000000 00000000"},
		{"status", NewEvent(Exited, 0x01020304, 1000, 255), "11000000 00000000 01000000 00000000 04030201 e8030000 ff000000"},
		{"killed", NewEvent(Killed, 42, 0, 9), "11000000 00000000 02000000 00000000 2a000000 00000000 09000000"},
		{"dumped", NewEvent(Dumped, 42, 0, 11), "11000000 00000000 03000000 00000000 2a000000 00000000 0b000000"},
		{"trapped", NewEvent(Trapped, 42, 0, 5), "11000000 00000000 04000000 00000000 2a000000 00000000 05000000"},
		{"stopped", NewEvent(Stopped, 42, 0, 19), "11000000 00000000 05000000 00000000 2a000000 00000000 13000000"},
		{"continued", NewEvent(Continued, 42, 0, 18), "11000000 00000000 06000000 00000000 2a000000 00000000 12000000"},
		{"largest uid", NewEvent(Exited, 4194304, 1<<32-2, 1), "11000000 00000000 01000000 00000000 00004000 feffffff 01000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := make([]byte, 128)
			copy(want, unhex(t, tt.want))
			if !bytes.Equal(tt.e[:], want) {
				t.Errorf("got  %x\nwant %x", tt.e[:], want)
			}
		})
	}
}

func TestEventAccessors(t *testing.T) {
	e := NewEvent(Killed, 4711, 1<<32-2, 9)
	if e.Code() != Killed || e.PID() != 4711 || e.UID() != 1<<32-2 || e.Status() != 9 {
		t.Errorf("code %d, pid %d, uid %d, status %d", e.Code(), e.PID(), e.UID(), e.Status())
	}
}

func TestCodeEnded(t *testing.T) {
	for c, want := range map[Code]bool{
		Exited: true, Killed: true, Dumped: true, Trapped: false, Stopped: false, Continued: false, 0: false, 7: false,
	} {
		if got := c.Ended(); got != want {
			t.Errorf("Code(%d).Ended() = %t", c, got)
		}
	}
}

func TestParseEvent(t *testing.T) {
	good := NewEvent(Exited, 42, 1000, 3)
	with := func(offset int, v byte) []byte {
		e := *good
		e[offset] = v
		return e[:]
	}
	tests := []struct {
		name string
		b    []byte
		ok   bool
	}{
		{"exited", good[:], true},
		{"continued", NewEvent(Continued, 1, 0, 18)[:], true},
		{"empty", nil, false},
		{"short", good[:127], false},
		{"long", append(good[:], 0), false},
		{"two", append(good[:], good[:]...), false},
		{"zeros", make([]byte, EventSize), false},
		{"code 0", NewEvent(0, 1, 0, 0)[:], false},
		{"code 7", NewEvent(7, 1, 0, 0)[:], false},
		{"code -1", NewEvent(-1, 1, 0, 0)[:], false},
		{"bytes without name", with(127, 1), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ParseEvent(tt.b)
			if tt.ok {
				if err != nil || !bytes.Equal(e[:], tt.b) {
					t.Errorf("got %v, %v", e, err)
				}
			} else if e != nil || !errors.Is(err, ErrSyntax) {
				t.Errorf("got %v, %v; want an error that is ErrSyntax", e, err)
			}
		})
	}
}

func TestParseEventCopies(t *testing.T) {
	b := NewEvent(Exited, 42, 0, 3)[:]
	e, err := ParseEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if e.PID() != 42 {
		t.Error("the event changes with the buffer")
	}
}

// TestKernelEvent compares NewEvent with what waitid(2) fills in. The tests of
// this package have no other children.
func TestKernelEvent(t *testing.T) {
	tests := []struct {
		name, script string
		options      int
		code         Code
		status       int
	}{
		{"exited", "exit 0", unix.WEXITED, Exited, 0},
		{"status", "exit 255", unix.WEXITED, Exited, 255},
		{"killed", "kill -KILL $$", unix.WEXITED, Killed, 9},
		{"stopped", "kill -STOP $$", unix.WSTOPPED, Stopped, 19},
		{"continued", "kill -STOP $$; exec sleep 1000", unix.WCONTINUED, Continued, 18},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", tt.script}, &syscall.ProcAttr{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.code == Continued {
				wait(t, pid, unix.WSTOPPED|unix.WNOWAIT)
				unix.Kill(pid, unix.SIGCONT)
			}
			got := wait(t, pid, tt.options)
			if !tt.code.Ended() {
				unix.Kill(pid, unix.SIGKILL)
				wait(t, pid, unix.WEXITED)
			}
			want := NewEvent(tt.code, pid, uint32(unix.Getuid()), tt.status)
			if !bytes.Equal(got[:], want[:]) {
				t.Errorf("the kernel says %x\nNewEvent makes  %x", got[:], want[:])
			}
			if _, err := ParseEvent(got[:]); err != nil {
				t.Error(err)
			}
		})
	}
}

// wait is waitid(2) for one child, with the bytes as the kernel left them.
func wait(t *testing.T, pid, options int) *Event {
	t.Helper()
	var e Event
	for {
		err := unix.Waitid(unix.P_PID, pid, (*unix.Siginfo)(unsafe.Pointer(&e)), options, nil)
		if err == nil {
			return &e
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}
