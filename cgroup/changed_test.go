package cgroup

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestChanged: a limit that is not as it was set is found, whatever the kernel makes of the value that was written.
func TestChanged(t *testing.T) {
	s := newSession(t, testRoot(t))
	j, err := s.NewJob("test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(j.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	}()
	set := func(file, value string) {
		t.Helper()
		if err := j.Limit(Limits{{Flag: setFlag, Given: file + "=" + value, File: file, Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	changed := func(want ...string) {
		t.Helper()
		var got []string
		for _, c := range j.Changed() {
			got = append(got, c.Error())
		}
		if text := strings.Join(got, "\n"); len(got) != len(want) || !strings.Contains(text, strings.Join(want, "\n")) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	changed()
	set("cgroup.max.descendants", "0x10")
	set("cgroup.max.depth", "max")
	changed()
	write := func(value string) {
		t.Helper()
		if err := os.WriteFile(j.Path()+"/cgroup.max.descendants", []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	write("max")
	changed(`cgroup.max.descendants was set to "16", and is "max" at the end: the job, or another program, has changed it`)
	write("16")
	changed()
	set("cgroup.max.descendants", "20")
	changed()
	write("16")
	changed(`was set to "20", and is "16"`)
	if err := j.Limit(Limits{{File: "cgroup.max.depth", Value: "nonsense"}}); err == nil {
		t.Error("the kernel takes anything")
	}
	changed(`was set to "20", and is "16"`) // what was refused is as it was
}
