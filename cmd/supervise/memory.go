package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// giveBackStartUp lets go of the program's own pages, most of which were needed
// to start and will not be until the end: they stay in the page cache, and what
// the loop needs comes back by itself. Of a supervisor that sleeps that is more
// than half of all memory.
func giveBackStartUp() {
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range fileMaps(string(smaps)) {
		unix.Syscall(unix.SYS_MADVISE, m.start, m.size, unix.MADV_DONTNEED)
	}
}

// giveBack lets go of what starting many jobs has left behind, too.
func giveBack() {
	debug.FreeOSMemory()
	giveBackStartUp()
}

type fileMap struct{ start, size uintptr }

// fileMaps finds, in the text of /proc/PID/smaps (proc_pid_smaps(5)), the mappings
// of files without a page of the process's own: those that hold nothing but what
// is in the file.
//
//	00400000-0050c000 r-xp 00000000 fe:00 4711     /usr/bin/supervise
//	Anonymous:             0 kB
func fileMaps(smaps string) (found []fileMap) {
	var last fileMap
	for line := range strings.Lines(smaps) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0" && last.size > 0 {
			found = append(found, last)
		} else if len(f) >= 5 && strings.Contains(f[0], "-") {
			last = fileMap{}
			if f[4] != "0" { // the inode
				last = parseRange(f[0])
			}
		}
	}
	return found
}

// parseRange reads "00400000-0050c000"; what it cannot read is of size 0.
func parseRange(s string) fileMap {
	from, to, _ := strings.Cut(s, "-")
	start, err1 := strconv.ParseUint(from, 16, strconv.IntSize)
	end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
	if err1 != nil || err2 != nil || end < start {
		return fileMap{}
	}
	return fileMap{uintptr(start), uintptr(end - start)}
}
