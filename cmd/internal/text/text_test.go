package text

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", 60 * time.Second: "1m0s",
		3661 * time.Second: "1h1m", 25 * time.Hour: "1d1h", 400 * 24 * time.Hour: "400d0h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0B", 1023: "1023B", 1024: "1.0K", 2 << 30: "2.0G", 1 << 60: "1048576.0T"} {
		if got := Bytes(&n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	if got := Bytes(nil); got != "-" {
		t.Errorf("nothing: %s", got)
	}
}
