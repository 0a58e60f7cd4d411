package run

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00", 999 * time.Millisecond: "0:00", 65 * time.Second: "1:05", time.Hour - 1: "59:59", 2*time.Hour + 65*time.Second: "2:01:05",
	} {
		if got := clock(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

// TestProgressNowhere: without the flag, or without a terminal, there is nothing that costs anything.
func TestProgressNowhere(t *testing.T) {
	t.Setenv("TERM", "dumb")
	for _, c := range []*commandLine{{events: -1}, {events: -1, progress: time.Second}, {events: 3, progress: time.Second}} {
		if p, err := openProgress(&runner{c: c}); p != nil || err != nil {
			t.Errorf("%+v: %v, %v", c, p, err)
		}
	}
}
