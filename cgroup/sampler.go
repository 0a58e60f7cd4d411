package cgroup

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A Sample is a job's use of resources at one moment: the part of [Stats] that is worth
// reading often. Units, and the meaning of nil, are those of Stats.
type Sample struct {
	CPU    *CPUStat
	Memory *uint64 // memory.current
	Stat   *MemoryStat
	IO     *IOCounters // the total of io.stat, stacked devices left out
	Pids   *uint64     // pids.current

	CPUPressure    *Pressure
	MemoryPressure *Pressure
	IOPressure     *Pressure
}

// sampled are the files of a Sample.
var sampled = [...]string{
	"cpu.stat", "memory.current", "memory.stat", "io.stat", "pids.current",
	"cpu.pressure", "memory.pressure", "io.pressure",
}

// A Sampler reads Samples of one job. It keeps the files open, at most eight
// descriptors, until it is closed. It belongs to one goroutine.
type Sampler struct {
	node    *dir
	fds     [len(sampled)]int // -1: the kernel does not have it
	buf     []byte
	stacked map[device]bool
	err     error // of one reading
}

// Sampler opens the files. The caller closes the Sampler before the job.
func (j *Job) Sampler() (*Sampler, error) {
	s := &Sampler{node: j.node, buf: make([]byte, 4096), stacked: map[device]bool{}}
	opening := reader{d: j.node}
	for i, name := range sampled {
		fd, err := j.node.open(name, unix.O_RDONLY)
		s.fds[i] = fd // -1 with an error
		opening.fail(err)
	}
	if opening.err != nil {
		s.Close()
		return nil, opening.err
	}
	return s, nil
}

// Sample reads the files, which the kernel generates anew. On an error the other fields are
// still filled in. Once the job is closed every file is an error (ENODEV).
func (s *Sampler) Sample() (Sample, error) {
	s.err = nil
	sample := Sample{
		CPU:            parseCPUStat(s.read(0)),
		Memory:         parseNumber(s.read(1)),
		Stat:           parseMemoryStat(s.read(2)),
		Pids:           parseNumber(s.read(4)),
		CPUPressure:    parsePressure(s.read(5)),
		MemoryPressure: parsePressure(s.read(6)),
		IOPressure:     parsePressure(s.read(7)),
	}
	if io := parseIOStat(s.read(3), s.isStacked); io != nil {
		sample.IO = &io.Total
	}
	return sample, s.err
}

func (s *Sampler) read(i int) []byte {
	if s.fds[i] < 0 {
		return nil
	}
	b, err := readInto(s.fds[i], &s.buf)
	if err != nil && err != unix.EOPNOTSUPP {
		s.err = errors.Join(s.err, s.node.fail("read", sampled[i], err))
	}
	return b
}

// isStacked asks sysfs once for each device.
func (s *Sampler) isStacked(d device) bool {
	stacked, known := s.stacked[d]
	if !known {
		stacked = isStacked(d)
		s.stacked[d] = stacked
	}
	return stacked
}

// Close closes the files.
func (s *Sampler) Close() {
	for i, fd := range s.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
		s.fds[i] = -1
	}
}
