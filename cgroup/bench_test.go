package cgroup

import (
	"fmt"
	"os"
	"testing"
)

func BenchmarkParseLimit(b *testing.B) {
	for b.Loop() {
		ParseLimit("memory-max", "1.5G")
	}
}

// BenchmarkParseText parses the files that a sample of a job reads.
func BenchmarkParseText(b *testing.B) {
	cpu := []byte("usage_usec 71234\nuser_usec 51234\nsystem_usec 20000\nnr_periods 7\nnr_throttled 3\nthrottled_usec 900\n")
	memory := []byte("anon 4096\nfile 8192\nkernel 1024\nkernel_stack 512\nslab 77\npgfault 99\npgmajfault 1\n")
	b.Run("cpu.stat", func(b *testing.B) {
		for b.Loop() {
			parseCPUStat(cpu)
		}
	})
	b.Run("memory.stat", func(b *testing.B) {
		for b.Loop() {
			parseMemoryStat(memory)
		}
	})
}

// BenchmarkJob makes a job and kills, waits for and removes it. No process is in it.
func BenchmarkJob(b *testing.B) {
	here, err := locate()
	if err != nil {
		b.Fatal(err)
	}
	path := fmt.Sprintf("%s/cgroup-bench-%d", here.path, os.Getpid())
	if err := os.Mkdir(path, 0o755); err != nil {
		b.Fatal(err)
	}
	defer os.Remove(path)
	s, err := Search{Path: path}.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		j, err := s.NewJob("bench")
		if err != nil {
			b.Fatal(err)
		}
		if err := j.Kill(); err != nil {
			b.Error(err)
		}
		if empty, err := j.Empty(); !empty || err != nil {
			b.Error(empty, err)
		}
		if err := j.Close(); err != nil {
			b.Error(err)
		}
	}
}
