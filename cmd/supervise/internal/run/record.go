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

// maxName is NAME_MAX, less what the temporary name adds.
const maxName = 255 - len(".") - len(".4194304")

func (f *recordFile) wanted() bool { return f.fd >= 0 || f.path != "" }

func (f *recordFile) write(b []byte) error {
	if f.fd >= 0 {
		return record.WriteAll(f.fd, b)
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
	err = errors.Join(record.WriteAll(fd, b), unix.Close(fd))
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

// deliver writes the record and the summary, where they are asked for. The
// supervise that guards another leaves that to it.
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

// failedRecord is that of a job which never was.
func (r *runner) failedRecord(err error) *protocol.Record {
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

// openSamples opens where samples go; -1: nowhere.
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
