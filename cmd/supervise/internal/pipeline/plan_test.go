package pipeline

import (
	"io"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestPlan: what is written is what is read, and what commands have in common is written once.
func TestPlan(t *testing.T) {
	env := []string{"A=" + strings.Repeat("x", 100000), "B=\xff\n", ""}
	want := make([]Command, 64)
	for i := range want {
		want[i] = Command{Path: "/bin/\xe9", Argv: []string{"a", "", "\x01"}, Dir: "", Env: env}
	}
	fd, err := Write(want)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	got, err := read(fd)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v; %d commands", err, len(got))
	}
	if size, _ := unix.Seek(fd, 0, io.SeekEnd); size > 200000 {
		t.Errorf("the plan has %d bytes", size)
	}
}

// TestDecisive: the last command that did not exit with 0 decides.
func TestDecisive(t *testing.T) {
	code := func(n int) *protocol.Exit { return &protocol.Exit{Code: &n} }
	killed := &protocol.Exit{Signal: new("SIGKILL")}
	for _, tt := range []struct {
		exits []*protocol.Exit
		want  *protocol.Exit
	}{
		{[]*protocol.Exit{code(0)}, code(0)},
		{[]*protocol.Exit{code(3), code(0)}, code(3)},
		{[]*protocol.Exit{code(3), killed, code(0)}, killed},
		{[]*protocol.Exit{killed, code(4)}, code(4)},
	} {
		if got := decisive(tt.exits); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: %v", tt.exits, got)
		}
	}
}

// FuzzPlan: a file that is no plan is an error, or commands.
func FuzzPlan(f *testing.F) {
	f.Add([]byte(`{"Strings":["/bin/true","true",""],"Commands":[{"Path":0,"Dir":2,"Argv":[1],"Env":[]}]}`))
	f.Add([]byte(`{"Strings":[],"Commands":[{"Path":-1}]}`))
	f.Add([]byte(`{"Commands":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		fd, err := unix.MemfdCreate("plan", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		unix.Write(fd, text)
		if commands, err := read(fd); err == nil && len(commands) == 0 {
			t.Error("no commands, and no error")
		}
	})
}

// FuzzEnds: whatever a job writes to the statuses' pipe, there is one for each command.
func FuzzEnds(f *testing.F) {
	f.Add([]byte("{\"Index\":0,\"PID\":1}\n{\"Index\":0,\"Exit\":{\"code\":3,\"signal\":null,\"core\":false}}\n"), 2)
	f.Add([]byte("{\"Index\":-1}\n{\"Index\":9}\nnot JSON\n\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		if n < 1 || n > protocol.MaxCommands {
			return
		}
		if got := Ends(text, n); len(got) != n {
			t.Errorf("%d of %d", len(got), n)
		}
	})
}
