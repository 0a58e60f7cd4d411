// Package text writes ages, times and sizes for people, as the tables of jobs have them.
package text

import (
	"fmt"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// Age is how long ago a job was started; "-": that is not known.
func Age(j *protocol.ListedJob) string {
	if j.Started == nil {
		return "-"
	}
	return Span(time.Since(j.Started.Time))
}

// Span is a time in its two largest units: 3d4h, 5m20s, 7s.
func Span(d time.Duration) string {
	units := []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	d = max(d, 0).Truncate(time.Second)
	for i, u := range units {
		n := d / u.unit
		if n == 0 && i < len(units)-1 {
			continue
		}
		text := fmt.Sprintf("%d%s", n, u.name)
		if i < len(units)-1 {
			next := units[i+1]
			text += fmt.Sprintf("%d%s", d%u.unit/next.unit, next.name)
		}
		return text
	}
	return ""
}

// Seconds is a time of processors with two digits behind the point; "-": it is not known.
func Seconds(s *float64) string {
	switch {
	case s == nil:
		return "-"
	case *s >= 600:
		return Span(time.Duration(*s * 1e9))
	}
	return fmt.Sprintf("%.2fs", *s)
}

// Bytes is a size in a power of 1024, as limits are written; "-": there is none.
func Bytes(n *uint64) string {
	if n == nil {
		return "-"
	}
	f, unit := float64(*n), 0
	for f >= 1024 && unit < 4 {
		f, unit = f/1024, unit+1
	}
	return fmt.Sprintf("%.*f%s", min(unit, 1), f, [...]string{"B", "K", "M", "G", "T"}[unit])
}
