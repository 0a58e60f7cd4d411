package run

import (
	"encoding/json"
	"fmt"
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
	fd     int    // -1: a file
	target string // "": none
	entry  *entry // of the file, held open until the end
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
	e, err := replaceableEntry(target)
	if err != nil {
		return &recordFile{fd: -1}, err
	}
	return &recordFile{fd: -1, target: target, entry: e}, nil
}

// replaceableEntry finds where a file can be put.
func replaceableEntry(target string) (*entry, error) {
	e, err := findEntry(unix.AT_FDCWD, target)
	if err != nil {
		return nil, err
	}
	if err = e.replaceable(); err == nil {
		if err = unix.Faccessat(e.dir, ".", unix.W_OK|unix.X_OK, 0); err != nil {
			err = fmt.Errorf("writing to its directory: %w", err)
		}
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// wanted says whether there is anything to write to.
func (f *recordFile) wanted() bool { return f.fd >= 0 || f.target != "" }

// write writes the record. A file is written under a temporary name in the same directory
// and then renamed, which is atomic (rename(2)). A directory that the job has removed is
// looked for anew: the job may have made it again.
func (f *recordFile) write(b []byte) error {
	if f.fd >= 0 {
		return record.WriteAll(f.fd, b)
	}
	err := f.entry.put(b)
	if err == unix.ENOENT {
		e, err := replaceableEntry(f.target)
		if err != nil {
			return err
		}
		f.entry.close()
		f.entry = e
		return e.put(b)
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

// deliver writes the record and the summary, where they are asked for.
func (r *runner) deliver(result *protocol.Record) error {
	result.Name, result.Argv = record.Optional(r.c.name), r.c.argv
	if r.c.summary {
		record.WriteAll(2, []byte(record.Summary(result)))
	}
	if !r.out.wanted() {
		return nil
	}
	result.Version = r.Version()
	b, err := protocol.Marshal(result)
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
	e, err := findEntry(unix.AT_FDCWD, target)
	if err != nil {
		return -1, err
	}
	defer e.close()
	return e.open()
}
