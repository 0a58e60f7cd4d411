package resident

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

const smaps = `00400000-0050c000 r-xp 00000000 fe:00 4711                               /usr/bin/a b
Rss:                1072 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
0050c000-0064d000 r--p 0010c000 fe:00 4711                               /usr/bin/a b
Anonymous:             4 kB
0065d000-00693000 rw-p 00000000 00:00 0
Anonymous:             0 kB
00700000-00701000 r--s 00000000 fe:00 12 /tmp/-
Anonymous:             0 kB
Anonymous:             0 kB
ffffffffff600000-zzzz --xp 00000000 00:00 1                          [vsyscall]
Anonymous:             0 kB
`

func TestFileMaps(t *testing.T) {
	want := []fileMap{{0x400000, 0x10c000}, {0x700000, 0x1000}, {0x700000, 0x1000}}
	if got := fileMaps(strings.NewReader(smaps)); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// TestGiveBackStartUp: this very program goes on, with less.
func TestGiveBackStartUp(t *testing.T) {
	before, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if len(fileMaps(bytes.NewReader(before))) == 0 {
		t.Fatalf("no map of a file in:\n%s", before)
	}
	GiveBackStartUp()
}

// FuzzFileMaps: no panic, and what is let go of is a range that the text names.
func FuzzFileMaps(f *testing.F) {
	f.Add(smaps)
	f.Add("0-1 r-xp 0 0 1\nAnonymous: 0 kB\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range fileMaps(strings.NewReader(text)) {
			if m.size == 0 || m.start+m.size < m.start {
				t.Errorf("%x", m)
			}
		}
	})
}
