package serve

import (
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"--contain=subreaper", "--no-guard"})
	if err != nil || o.Contain != containment.Subreaper || !o.NoGuard {
		t.Errorf("got %+v, %v", o, err)
	}
	for args, want := range map[string]string{
		"--timeout 5":                     "serve: no flag --timeout",
		"--memory-max 1G":                 "serve: no flag --memory-max",
		"--contain=x":                     `serve: --contain "x": want auto, cgroup or subreaper`,
		"--cgroup /x --contain=subreaper": "serve: --cgroup and --contain=subreaper exclude each other",
		"true":                            `serve: what is "true"? jobs come by the protocol`,
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}
