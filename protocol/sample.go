package protocol

// A Sample is what a job used at one moment, a line of --samples. Totals are since
// the job's start; what the kernel does not have is null.
type Sample struct {
	Time  Time    `json:"time"`
	WallS float64 `json:"wall_s"` // seconds since the job's start

	CPU      CPU       `json:"cpu"`
	Memory   MemoryNow `json:"memory"`
	IO       IO        `json:"io"`   // devices null
	Pids     *uint64   `json:"pids"` // pids.current
	Pressure Pressure  `json:"pressure"`
}

// MemoryNow is what a job holds at one moment.
type MemoryNow struct {
	CurrentBytes *uint64 `json:"current_bytes"` // memory.current
	MemorySplit
}

// A Phase is what happened between two marks (--marks): differences of totals, but
// for the memory, of which it is the most that a sample, or one of the marks, saw.
type Phase struct {
	Name       string  `json:"name"`                  // the line that began it; "" for what was before the first
	NameBase64 []byte  `json:"name_base64,omitempty"` // the bytes of name, if they are not UTF-8
	Started    Time    `json:"started"`
	WallS      float64 `json:"wall_s"`

	CPU       CPU      `json:"cpu"`
	IO        IO       `json:"io"` // devices null
	Pressure  Pressure `json:"pressure"`
	MaxMemory *uint64  `json:"max_memory_bytes"` // page cache included
	MaxAnon   *uint64  `json:"max_anon_bytes"`
}
