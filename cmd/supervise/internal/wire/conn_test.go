package wire

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pair is a connection with lines of at most so many bytes, and its other end.
func pair(t testing.TB, kind, max int) (c *Conn, other int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	if c, err = NewConn(fds[0], fds[0], max); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, fds[1]
}

func write(t testing.TB, fd int, text string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(text)); n != len(text) {
		t.Fatalf("wrote %d of %d bytes, %v", n, len(text), err)
	}
}

// lines takes all that there are; a long one is "LONG".
func lines(c *Conn) (all []string) {
	for {
		line, tooLong, ok := c.Next()
		switch {
		case !ok:
			return all
		case tooLong:
			all = append(all, "LONG")
		default:
			all = append(all, string(line))
		}
	}
}

func TestLines(t *testing.T) {
	x := strings.Repeat
	for _, tt := range []struct {
		pieces []string
		want   string
	}{
		{[]string{""}, "[]"},
		{[]string{"a\n"}, `["a"]`},
		{[]string{"a\nb\n\nc\n"}, `["a" "b" "" "c"]`},
		{[]string{"a", "b", "c\nd", "\n", "e"}, `["abc" "d"]`},
		{[]string{"1234567\n"}, `["1234567"]`}, // eight bytes with the newline
		{[]string{"12345678\n"}, `["LONG"]`},
		{[]string{"12345678", "\na\n"}, `["LONG" "a"]`},
		{[]string{"1234567", "8\na\n"}, `["LONG" "a"]`},
		{[]string{x("y", 100), x("y", 100), "\n", "a\n"}, `["LONG" "a"]`},
		{[]string{x("y", 100) + "\n" + x("z", 8) + "\n\n"}, `["LONG" "LONG" ""]`},
		{[]string{x("y", 100) + "\na\n" + x("y", 9)}, `["LONG" "a" "LONG"]`},
	} {
		c, other := pair(t, unix.SOCK_STREAM, 8)
		var got []string
		for _, piece := range tt.pieces {
			if write(t, other, piece); c.Read() {
				t.Error("the end")
			}
			got = append(got, lines(c)...)
		}
		if text := fmt.Sprintf("%q", got); text != tt.want {
			t.Errorf("%q: %s, want %s", tt.pieces, text, tt.want)
		}
	}
}

// TestEnds: of a socket and of a pipe, and what is not there yet is no end.
func TestEnds(t *testing.T) {
	c, other := pair(t, unix.SOCK_STREAM, 8)
	if c.Read() || c.Mute() || c.Deaf() {
		t.Error("an end before there is one")
	}
	write(t, other, "a\nb")
	unix.Shutdown(other, unix.SHUT_WR)
	if !c.Mute() || c.Deaf() {
		t.Error("half an end is not seen, or taken for a whole one")
	}
	if c.Read() || fmt.Sprint(lines(c)) != "[a]" || !c.Read() {
		t.Error("not the line and then the end")
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	p, err := NewConn(ends[0], ends[1], 8)
	if err != nil || p.Rights() || !c.Rights() {
		t.Errorf("%v, descriptors by pipes: %t, by a socket: %t", err, p.Rights(), c.Rights())
	}
	for _, fd := range []int{ends[0], ends[1], p.InFD(), p.OutFD()} {
		defer unix.Close(fd)
	}
	if p.Read() || p.Mute() {
		t.Error("the pipe has ended")
	}
}

func TestMessages(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if _, err := NewConn(fds[0], fds[0], 8); err != ErrMessages {
		t.Errorf("a socket with messages: %v", err)
	}
}

// TestFlush: what is sent while nobody reads is kept, and comes in order.
func TestFlush(t *testing.T) {
	c, other := pair(t, unix.SOCK_STREAM, 8)
	var want, got bytes.Buffer
	for i := 0; !c.Blocked() || i%100 > 0; i++ {
		line := strings.Repeat("x", i%1000) + fmt.Sprint(i)
		want.WriteString(line + "\n")
		c.Send([]byte(line), nil)
	}
	if c.Unsent() == 0 || c.HungUp() {
		t.Errorf("%d bytes are kept, hung up: %t", c.Unsent(), c.HungUp())
	}
	for buf := make([]byte, 10000); got.Len() < want.Len(); {
		n, err := unix.Read(other, buf)
		if n <= 0 {
			t.Fatal(err)
		}
		got.Write(buf[:n])
		c.Flush()
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) || c.Blocked() || c.Unsent() != 0 {
		t.Errorf("%d of %d bytes came, %d are kept", got.Len(), want.Len(), c.Unsent())
	}
	for i, line := range []string{"short", "longer", "x"} { // the buffer is the same
		c.Send([]byte(line), nil)
		c.Send([]byte(line), nil)
		if c.Flush(); i == 1 {
			c.Trim()
		}
		buf := make([]byte, 100)
		if n, _ := unix.Read(other, buf); string(buf[:n]) != line+"\n"+line+"\n" {
			t.Errorf("%q came", buf[:n])
		}
	}
	for range 2 * flushSize / 100 {
		c.Send(make([]byte, 100), nil)
	}
	if n := c.Unsent(); n > flushSize+101 {
		t.Errorf("%d bytes are kept without a Flush", n)
	}
}

// TestHangUp: nobody reads any more, and nothing is kept.
func TestHangUp(t *testing.T) {
	c, other := pair(t, unix.SOCK_STREAM, 8)
	for !c.Blocked() {
		c.Send(make([]byte, 1000), nil)
	}
	unix.Shutdown(other, unix.SHUT_RDWR)
	if c.Flush(); !c.HungUp() || c.Blocked() || !c.Deaf() {
		t.Errorf("hung up: %t, blocked: %t", c.HungUp(), c.Blocked())
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	if c.Send([]byte("a"), []int{ends[1]}); c.Blocked() || isOpen(ends[1]) {
		t.Error("what is sent to nobody is kept")
	}
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// TestDescriptors: they come in their order, are closed when sent, and those that nobody takes at the end.
func TestDescriptors(t *testing.T) {
	c, other := pair(t, unix.SOCK_STREAM, 100)
	d, back := pair(t, unix.SOCK_STREAM, 100)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for i := range 3 {
		rights := unix.UnixRights(slices.Repeat([]int{int(null.Fd())}, i+1)...)
		if err := unix.Sendmsg(other, []byte("line\n"), rights, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		c.Read()
	}
	if got := lines(c); len(got) != 3 {
		t.Errorf("lines %q", got)
	}
	first, second := c.Descriptors(2), c.Descriptors(3)
	if len(first) != 2 || len(second) != 3 || c.Descriptors(2) != nil || c.Descriptors(-1) != nil {
		t.Errorf("descriptors %v, %v", first, second)
	}
	d.Send([]byte("hello"), first)
	d.Flush()
	for _, fd := range first {
		if isOpen(fd) {
			t.Errorf("descriptor %d is open, and was sent", fd)
		}
	}
	CloseAll(second)
	lowest, err := unix.FcntlInt(null.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(lowest)
	c.MaxFD = lowest + 1
	if err := unix.Sendmsg(other, []byte("line\n"), unix.UnixRights(0, 0), nil, 0); err != nil {
		t.Fatal(err)
	}
	if c.Read(); len(c.received) != 2 || c.received[1] != lowest {
		t.Errorf("descriptors %v, with room for %d", c.received, lowest)
	}
	c.MaxFD = 0
	var control [100]byte
	if _, n, _, _, err := unix.Recvmsg(back, make([]byte, 100), control[:], unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT); err != nil || n != unix.CmsgSpace(8) {
		t.Errorf("received %d bytes of descriptors, %v", n, err)
	} else {
		messages, _ := unix.ParseSocketControlMessage(control[:n])
		fds, _ := unix.ParseUnixRights(&messages[0])
		CloseAll(fds)
	}
	left := slices.Clone(c.received)
	c.Close()
	for _, fd := range left {
		if isOpen(fd) {
			t.Errorf("descriptor %d is open at the end", fd)
		}
	}
}

// FuzzConn compares with what is obvious, for bytes that come in pieces of some size.
func FuzzConn(f *testing.F) {
	for _, seed := range []string{"", "a\n", "a\n\nb", "1234567\n12345678\n123456789\n", "{\"jsonrpc\":\"2.0\"}\n\n\n"} {
		for _, size := range []byte{1, 3, 255} {
			f.Add([]byte(seed), size)
		}
	}
	const max = 8
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		if len(text) > 4096 || size == 0 {
			return
		}
		c, other := pair(t, unix.SOCK_STREAM, max)
		var got, want []string
		for piece := range slices.Chunk(text, int(size)) {
			write(t, other, string(piece))
			c.Read()
			got = append(got, lines(c)...)
		}
		all := strings.Split(string(text), "\n")
		for i, line := range all {
			switch {
			case len(line) >= max:
				want = append(want, "LONG")
			case i < len(all)-1:
				want = append(want, line)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q by %d: %q, want %q", text, size, got, want)
		}
	})
}
