package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A recordFile is where --record goes: a descriptor, or a file that appears
// whole.
type recordFile struct {
	fd   int    // -1: a file
	path string // "": none
}

// openRecord checks the place before the job is started.
func openRecord(target string) (*recordFile, error) {
	switch {
	case target == "":
		return &recordFile{fd: -1}, nil
	case target == "-":
		return &recordFile{fd: 1}, nil
	case strings.HasPrefix(target, "fd:"):
		fd, err := parseFD(target)
		return &recordFile{fd: fd}, err
	}
	abs, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	st, err := os.Lstat(abs)
	if err == nil && st.IsDir() {
		return nil, unix.EISDIR
	}
	if err == nil && !st.Mode().IsRegular() {
		return nil, errors.New("is there already, and no regular file; fd:N writes to anything")
	}
	if len(filepath.Base(abs)) > maxName {
		return nil, unix.ENAMETOOLONG
	}
	if err := unix.Access(filepath.Dir(abs), unix.W_OK|unix.X_OK); err != nil {
		return nil, fmt.Errorf("writing to %s: %w", filepath.Dir(abs), err)
	}
	return &recordFile{fd: -1, path: abs}, nil
}

// maxName is NAME_MAX, less what the temporary name adds.
const maxName = 255 - len(".") - len(".4194304")

func (f *recordFile) wanted() bool { return f.fd >= 0 || f.path != "" }

func (f *recordFile) write(b []byte) error {
	if f.fd >= 0 {
		return writeAll(f.fd, b)
	}
	// Not os.CreateTemp, which sets up Go's poller for the file.
	tmp := filepath.Join(filepath.Dir(f.path), fmt.Sprintf(".%s.%d", filepath.Base(f.path), os.Getpid()))
	fd, err := unix.Open(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o666)
	if err == unix.EEXIST && unix.Unlink(tmp) == nil { // of one that was killed, and had our number
		fd, err = unix.Open(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o666)
	}
	if err != nil {
		return os.NewSyscallError("open "+tmp, err)
	}
	err = errors.Join(writeAll(fd, b), unix.Close(fd))
	if err == nil {
		err = os.NewSyscallError("rename to "+f.path, unix.Rename(tmp, f.path))
	}
	if err != nil {
		unix.Unlink(tmp)
	}
	return err
}

// warmUp has the encoder learn the record's types, which takes longer than to
// encode it, while the job is on its way.
func (f *recordFile) warmUp() {
	if f.wanted() {
		json.Marshal(&protocol.Record{})
	}
}

// writeAll writes to a descriptor that may be a pipe or non-blocking.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case err == unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		case err != nil && err != unix.EINTR:
			return os.NewSyscallError("write", err)
		case n > 0:
			b = b[n:]
		}
	}
	return nil
}

// deliver writes the record and the summary, where they are asked for. The
// supervise that guards another leaves that to it.
func (r *runner) deliver(record *protocol.Record) error {
	if r.guarding && record.Cause != protocol.CauseStartFailed {
		return nil
	}
	if r.o.summary {
		writeAll(2, []byte(summary(record)))
	}
	if !r.out.wanted() {
		return nil
	}
	record.Version = version()
	b, err := json.Marshal(record)
	if err == nil {
		err = r.out.write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	return nil
}

// emptyRecord is what is known of every job.
func (r *runner) emptyRecord() *protocol.Record { return emptyRecord(r.o.name, r.o.argv, r.began) }

func emptyRecord(name string, argv []string, began time.Time) *protocol.Record {
	return &protocol.Record{
		Schema: protocol.RecordSchema, Name: optional(name), Argv: argv,
		Containment: protocol.ContainmentSubreaper, Leftovers: []protocol.Leftover{},
		Limits: []protocol.Limit{}, Unenforced: []protocol.Unenforced{},
		Started: protocol.Time{Time: began}, Ended: protocol.Time{Time: began},
	}
}

// failedRecord is that of a job which never was.
func (r *runner) failedRecord(err error) *protocol.Record {
	record := r.emptyRecord()
	record.Ended.Time = time.Now()
	record.WallS = record.Ended.Sub(r.began).Seconds()
	record.Cause = protocol.CauseStartFailed
	record.Error = optional(oneLine(err))
	if r.hold == nil || r.hold.session != nil {
		record.Containment = "" // it did not come to one
	}
	return record
}

func (r *runner) newRecord(result *supervisor.Result) *protocol.Record {
	record := r.emptyRecord()
	setResult(record, result)
	record.Cgroup, record.ContainmentReason = optional(r.hold.path()), optional(r.hold.reason)
	if r.hold.job != nil {
		record.Containment = protocol.ContainmentCgroup
		setResources(record, r.hold.stats)
		setOOM(record, r.hold.oom)
		if r.hold.samples != nil {
			r.hold.samples.fill(record)
		}
	} else {
		record.CPU = reapedCPU()
	}
	record.Limits, record.Unenforced = limitsOf(r.hold.limits), append(record.Unenforced, r.hold.unenforced...)
	return record
}

// setResult puts what the supervisor saw into a record.
func setResult(record *protocol.Record, result *supervisor.Result) {
	record.PID, record.Cause, record.Exit = &result.PID, result.Cause, exitOf(result.Exit)
	record.Started.Time, record.Ended.Time = result.Started, result.Ended
	record.WallS = result.Ended.Sub(result.Started).Seconds()
	if result.Exit != nil {
		record.Main = mainUsage(&result.Main)
	}
	record.Reaped, record.LeftoversTotal = result.Reaped, &result.LeftoversTotal
	record.Leftovers = append(record.Leftovers, result.Leftovers...)
	if result.Err != nil {
		record.Error = optional(oneLine(result.Err))
	}
}

func exitOf(e *protocol.Event) *protocol.Exit {
	if e == nil {
		return nil
	}
	if status := e.Status(); e.Code() == protocol.Exited {
		return &protocol.Exit{Code: &status}
	}
	name := signalName(unix.Signal(e.Status()))
	return &protocol.Exit{Signal: &name, Core: e.Code() == protocol.Dumped}
}

// signalName also names those that have none: SIGRTMIN+n as in signal(7), with
// SIGRTMIN as the C library has it.
func signalName(sig unix.Signal) string {
	if name := unix.SignalName(sig); name != "" || sig < minRealTime {
		return cmp.Or(name, fmt.Sprintf("SIG%d", int(sig)))
	}
	return fmt.Sprintf("SIGRTMIN+%d", int(sig)-minRealTime)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
