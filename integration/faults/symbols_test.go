package faults

import (
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
)

// symbols are the functions of the supervise binary, which is static and always at the same addresses.
type symbols struct {
	table    *gosym.Table
	from, to uint64
}

func readSymbols(exe string) (*symbols, error) {
	f, err := elf.Open(exe)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, lines := f.Section(".text"), f.Section(".gopclntab")
	if text == nil || lines == nil {
		return nil, fmt.Errorf("%s: no .text or .gopclntab", exe)
	}
	data, err := lines.Data()
	if err != nil {
		return nil, err
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	return &symbols{table, text.Addr, text.Addr + text.Size}, err
}

// site lists the functions that a thread in a system call is in, the innermost first: by the addresses on its stack, some of
// which may be left over.
func (s *symbols) site(tid int, ip uint64) (names []string) {
	add := func(pc uint64) {
		if pc < s.from || pc >= s.to {
			return
		}
		if f := s.table.PCToFunc(pc); f != nil && (len(names) == 0 || names[len(names)-1] != f.Name) {
			names = append(names, f.Name)
		}
	}
	add(ip)
	for _, word := range stack(tid) {
		if len(names) < 14 {
			add(word)
		}
	}
	return names
}

// stack reads what a thread in a system call has on its stack.
func stack(tid int) (words []uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", tid))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return nil
	}
	var sp uint64
	fmt.Sscanf(fields[len(fields)-2], "0x%x", &sp)
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return nil
	}
	defer f.Close()
	buf := make([]byte, 4096)
	n, _ := f.ReadAt(buf, int64(sp))
	for ; n >= 8; n -= 8 {
		words = append(words, binary.NativeEndian.Uint64(buf))
		buf = buf[8:]
	}
	return words
}

// byRuntime says whether a call is of Go's runtime, which does not make it through package syscall.
func byRuntime(site []string) bool {
	for _, name := range site {
		if !strings.HasPrefix(name, "internal/runtime/syscall") {
			return strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "internal/runtime/")
		}
	}
	return true
}

// ours are the functions of a site that are of this module.
func ours(site []string) string {
	var names []string
	for _, name := range site {
		if i := strings.Index(name, "/supervise/"); i >= 0 && len(names) < 4 {
			names = append(names, name[strings.LastIndex(name, "/")+1:])
		}
	}
	return strings.Join(names, " < ")
}
