package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A recordFile is where --record goes: a descriptor, or a file that appears whole, so
// that a reader that sees the file has the record. The zero value is descriptor 0;
// openRecord makes one.
type recordFile struct {
	fd   int    // -1: a file
	path string // "": none
}

// openRecord checks the place before the job is started: a record that cannot be written
// is worth an error before hours of work, not after. The file itself is made at the end,
// for until then an old one may be wanted.
func openRecord(target string) (*recordFile, error) {
	switch {
	case target == "":
		return &recordFile{fd: -1}, nil
	case target == "-":
		return &recordFile{fd: 1}, nil
	case strings.HasPrefix(target, "fd:"):
		fd, err := cli.Descriptor(target)
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

// maxName is NAME_MAX, less the dot and the pid that the temporary name adds; pid_max is
// at most 4194304.
const maxName = 255 - len(".") - len(".4194304")

// wanted says whether there is anything to write to.
func (f *recordFile) wanted() bool { return f.fd >= 0 || f.path != "" }

// write writes the record. A file is written under a temporary name in the same directory
// and then renamed, which is atomic (rename(2)). O_NOFOLLOW and O_EXCL keep a link that
// is planted in a shared directory from being written through.
func (f *recordFile) write(b []byte) error {
	if f.fd >= 0 {
		return record.WriteAll(f.fd, b)
	}
	// Not os.CreateTemp, which sets up Go's poller for the file.
	tmp := filepath.Join(filepath.Dir(f.path), fmt.Sprintf(".%s.%d", filepath.Base(f.path), os.Getpid()))
	// O_EXCL finds a file of the same name only if its writer is dead: pids are unique.
	fd, err := unix.Open(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o666)
	if err == unix.EEXIST && unix.Unlink(tmp) == nil { // of one that was killed, and had our number
		fd, err = unix.Open(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o666)
	}
	if err != nil {
		return os.NewSyscallError("open "+tmp, err)
	}
	err = errors.Join(record.WriteAll(fd, b), unix.Close(fd))
	if err == nil {
		err = os.NewSyscallError("rename to "+f.path, unix.Rename(tmp, f.path))
	}
	if err != nil {
		unix.Unlink(tmp)
	}
	return err
}

// warmUp has encoding/json learn the record's types, by reflection, which takes longer
// than to encode it. It is called while the job runs, so the end of the job does not wait
// for it.
func (f *recordFile) warmUp() {
	if f.wanted() {
		json.Marshal(&protocol.Record{})
	}
}

// deliver writes the record and the summary, where they are asked for. The supervise that
// guards another leaves both to that, which sees the job itself.
func (r *runner) deliver(result *protocol.Record) error {
	if r.guarding && result.Cause != protocol.CauseStartFailed {
		return nil
	}
	result.Name, result.Argv = record.Optional(r.c.name), r.c.argv
	if r.c.summary {
		record.WriteAll(2, []byte(record.Summary(result)))
	}
	if !r.out.wanted() {
		return nil
	}
	result.Version = r.Version()
	b, err := json.Marshal(result)
	if err == nil {
		err = r.out.write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	return nil
}

// failedRecord is that of a job which never was: its numbers are null. It names the
// fallback, but no cgroup, as that held nothing.
func (r *runner) failedRecord(err error) *protocol.Record {
	// The wall time is that of the attempt.
	failed := supervisor.NewRecord(r.began)
	failed.Ended.Time = time.Now()
	failed.WallS = failed.Ended.Sub(r.began).Seconds()
	failed.Cause = protocol.CauseStartFailed
	failed.Error = record.Optional(cli.OneLine(err))
	if r.place == nil || r.place.Job() != nil {
		failed.Containment = "" // it did not come to one
	}
	return failed
}

// openSamples opens where samples go; -1: nowhere. O_NONBLOCK is for a FIFO: without a
// reader to open it is ENXIO, instead of a wait (fifo(7)).
func openSamples(target string) (int, error) {
	switch {
	case target == "":
		return -1, nil
	case target == "-":
		return 1, nil
	case strings.HasPrefix(target, "fd:"):
		return cli.Descriptor(target)
	}
	return unix.Open(target, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o666)
}
