// Package resident keeps the memory and the threads of a supervisor that stays small.
package resident

import (
	"bufio"
	"bytes"
	"io"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// GiveBackStartUp lets go of the program's own pages, most of which were needed
// to start and will not be until the end: they stay in the page cache, and what
// the loop needs comes back by itself. Of a supervisor that sleeps that is more
// than half of all memory.
func GiveBackStartUp() {
	fd, err := unix.Open("/proc/self/smaps", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	maps := fileMaps(rawReader(fd))
	unix.Close(fd)
	pageSize := uintptr(unix.Getpagesize())
	for _, m := range maps { // what is called from here on comes back
		// Not in one piece, if the page cache has it in one of 2 MB: what is in two mappings Linux 6.18
		// maps by the page (finish_fault in mm/memory.c). Advice about one half makes two of it.
		unix.Syscall(unix.SYS_MADVISE, m.start, m.size/2&^(pageSize-1), unix.MADV_NOHUGEPAGE)
		unix.Syscall(unix.SYS_MADVISE, m.start, m.size, unix.MADV_DONTNEED)
	}
}

// A rawReader is a descriptor to be read without what an os.File brings along.
type rawReader int

// Read implements io.Reader.
func (r rawReader) Read(b []byte) (int, error) {
	n, err := unix.Read(int(r), b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// GiveBack lets go of what starting many jobs has left behind, too. The garbage is
// collected twice, as a sync.Pool, of which encoding/json has one with its buffers, keeps
// what it has through one collection.
func GiveBack() {
	runtime.GC()
	debug.FreeOSMemory()
	GiveBackStartUp()
}

type fileMap struct{ start, size uintptr }

// fileMaps finds, in the text of /proc/PID/smaps (proc_pid_smaps(5)), the mappings
// of files without a page of the process's own: those that hold nothing but what
// is in the file.
//
//	00400000-0050c000 r-xp 00000000 fe:00 4711     /usr/bin/supervise
//	Anonymous:             0 kB
func fileMaps(smaps io.Reader) (found []fileMap) {
	var last fileMap
	lines := bufio.NewScanner(smaps)
	lines.Buffer(make([]byte, 8<<10), 8<<10) // the name is of up to 4 KiB
	for lines.Scan() {
		line := lines.Bytes()
		if anonymous, ok := bytes.CutPrefix(line, []byte("Anonymous:")); ok {
			if string(bytes.TrimSpace(anonymous)) == "0 kB" && last.size > 0 {
				found = append(found, last)
			}
		} else if isHead(line) {
			last = fileMap{}
			if f := bytes.Fields(line); len(f) >= 5 && string(f[4]) != "0" { // the inode
				last = parseRange(string(f[0]))
			}
		}
	}
	return found
}

// isHead says whether a line begins with an address, and not with a name.
func isHead(line []byte) bool {
	return len(line) > 0 && strings.IndexByte("0123456789abcdef", line[0]) >= 0
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
