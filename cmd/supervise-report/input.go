package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

// An input is what was read: jobs by their records, and series of samples.
type input struct {
	jobs   []*job
	series []*series
	starts map[seriesKey][]*series
	notes  []string // what was left out, and why

	seen map[string]bool // names of files
}

// A place is where a value was found.
type place struct {
	file string
	line int
	job  int // of a server's messages; 0: it is none of these
}

// complain returns an error about what is there.
func (p place) complain(err error) error { return fmt.Errorf("%s:%d: %w", p.file, p.line, err) }

// A value is a JSON text in a file.
type value struct {
	place
	text []byte
}

// readAll reads files, directories and standard input ("-").
func readAll(names []string, stdin io.Reader) (*input, error) {
	in := &input{seen: map[string]bool{}}
	for _, name := range names {
		if err := in.read(name, stdin); err != nil {
			return nil, err
		}
	}
	in.match()
	if len(in.jobs) == 0 {
		return nil, fmt.Errorf("no record and no sample in %s; 'supervise run --record FILE --samples FILE' writes them", strings.Join(names, ", "))
	}
	return in, nil
}

func (in *input) read(name string, stdin io.Reader) error {
	if name == "-" {
		b, err := io.ReadAll(io.LimitReader(stdin, largest+1))
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		return in.parse("standard input", b, false)
	}
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	if st.IsDir() {
		return in.readDirectory(name)
	}
	return in.readFile(name, false)
}

// readDirectory reads the files of a directory, and of those below it, that are called as JSON
// is. It follows no symbolic link.
func (in *input) readDirectory(name string) error {
	return filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		switch filepath.Ext(path) {
		case ".json", ".jsonl", ".ndjson":
			return in.readFile(path, true)
		}
		return nil
	})
}

// largest is the size of a file that is read at most.
const largest = 2 << 30

// readFile reads a file once, under whatever names it is given. Found is for one that was not named, but is in a directory that was.
func (in *input) readFile(name string, found bool) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		if in.seen[real] {
			return nil
		}
		in.seen[real] = true
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err != nil {
		return err
	}
	return in.parse(name, b, found)
}

// parse reads the text of a file. A file that was found, not named, may have other things.
func (in *input) parse(name string, b []byte, found bool) error {
	if len(b) > largest {
		return fmt.Errorf("%s: larger than 2 GiB; give it in parts", name)
	}
	values, cut, err := split(name, b)
	if err != nil {
		return err
	}
	decoded, err := decodeAll(values)
	if found && errors.Is(err, errForeign) {
		in.notes = append(in.notes, fmt.Sprintf("%s is left out: it has neither records nor samples", name))
		return nil
	}
	if err != nil {
		return err
	}
	for i, d := range decoded {
		in.add(values[i].place, d)
	}
	if cut == nil {
		return nil
	}
	if len(decoded) == 0 || decoded[len(decoded)-1].sample == nil {
		return cut
	}
	in.notes = append(in.notes, fmt.Sprintf("%s ends in the middle of a sample, which is left out", name))
	return nil
}

var errCut = errors.New("the text ends in the middle of an object; was it written to the end?")

// split finds the values of a file: JSON texts one after the other, or in arrays. Cut is the error
// of one that is not complete, where the text ends in it.
func split(name string, b []byte) (values []value, cut, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	at := place{file: name, line: 1}
	var counted int64
	inArray := false
	for {
		from := dec.InputOffset()
		from += int64(len(b[from:]) - len(bytes.TrimLeft(b[from:], " \t\r\n,")))
		at.line += bytes.Count(b[counted:from], []byte("\n"))
		counted = from
		if inArray && !dec.More() || !inArray && from < int64(len(b)) && b[from] == '[' {
			if _, err := dec.Token(); err == io.EOF {
				return values, at.complain(errCut), nil
			} else if err != nil { // it is no bracket
				return nil, nil, at.complain(syntax(&at, b[from:], err))
			}
			inArray = !inArray
			continue
		}
		var raw json.RawMessage
		err := dec.Decode(&raw)
		switch {
		case err == io.EOF && !inArray:
			return values, nil, nil
		case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
			return values, at.complain(errCut), nil
		case err != nil:
			err = syntax(&at, b[from:], err)
			return nil, nil, at.complain(err)
		}
		values = append(values, value{at, raw})
	}
}

// syntax moves a place from the beginning of a text to what is no JSON in it.
func syntax(at *place, b []byte, err error) error {
	var raw json.RawMessage
	var where *json.SyntaxError
	if errors.As(json.NewDecoder(bytes.NewReader(b)).Decode(&raw), &where) {
		at.line += bytes.Count(b[:min(int(where.Offset), len(b))], []byte("\n"))
		err = where
	}
	return fmt.Errorf("this is no JSON: %w; want records as 'supervise run --record' writes them, or samples", err)
}

// decodeAll decodes values on all processors. The error is that of the first that has one.
func decodeAll(values []value) ([]decoded, error) {
	list, errs := make([]decoded, len(values)), make([]error, len(values))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() { // until its part is done
			for i := w; i < len(values); i += workers {
				list[i], errs[i] = decode(values[i].text)
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, values[i].complain(err)
		}
	}
	return list, nil
}

// add takes one value that was read.
func (in *input) add(at place, d decoded) {
	at.job = d.job
	switch {
	case d.record != nil:
		in.jobs = append(in.jobs, newJob(at, d))
	case d.sample != nil:
		s := in.seriesFor(at, d.sample)
		s.points = append(s.points, d.sample.point)
	}
}

// printable is a text of the input's on one line.
func printable(text string) string { return cli.Printable(text) }
